"""Fit the calibrators of a run, each on the data it declares; score everything."""

# Those that only some calibrators need.
READ_BY_CALIBRATORS = INPUTS.of_calibration(
    pretrained=rules.extract_pretrained.output[0],
    pseudo_splits=rules.pseudo_splits.output.logits,
    weights=rules.finetune.output.head,
)
READ_BY_SCORES = INPUTS.of_evaluation(
    oracle=paths.ORACLE_LOGITS,
    interpolated=rules.interpolate.output[0],
    weights=rules.finetune.output.head,
)


rule calibrate:
    input:
        **READ_BY_CALIBRATORS,
        split=rules.split.output[0],
        logits=rules.extract.output[0],
    output:
        **STAGES["calibrate"].outputs,
    log:
        STAGES["calibrate"].log,
    priority: 3
    conda:
        CONDA
    resources:
        in_turn=IN_TURN,
        mem_mb=lambda w, attempt: 4000 * attempt,
        runtime=lambda w, attempt: 5 * attempt,
    params:
        stage=WORKFLOW.stage_of_runs("calibrate"),
        study=STUDY,
    shell:
        command("exec finecal calibrate {output} {params.study} > {log} 2>&1")


rule evaluate:
    input:
        **READ_BY_SCORES,
        split=rules.split.output[0],
        calibration=rules.calibrate.output[0],
        pretrained=rules.extract_pretrained.output[0],
        logits=rules.extract.output[0],
    output:
        **STAGES["evaluate"].outputs,
    log:
        STAGES["evaluate"].log,
    priority: 3
    conda:
        CONDA
    resources:
        in_turn=IN_TURN,
        mem_mb=lambda w, attempt: 4000 * attempt,
        runtime=lambda w, attempt: 5 * attempt,
    params:
        stage=WORKFLOW.stage_of_runs("evaluate"),
        study=STUDY,
    shell:
        command("exec finecal evaluate {output.metrics} {params.study} > {log} 2>&1")
