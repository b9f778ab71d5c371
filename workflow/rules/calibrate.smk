"""Fit the calibrators of a run, each on the data it declares; score everything."""

# Those that only some calibrators need.
READ_BY_CALIBRATORS = INPUTS.of_calibration(
    pretrained=rules.extract_pretrained_logits.output[0],
    pseudo_splits=rules.finetune_pseudo_splits.output.logits,
    weights=rules.finetune_model.output.head,
)
READ_BY_SCORES = INPUTS.of_evaluation(
    oracle=paths.ORACLE_LOGITS,
    interpolated=rules.extract_interpolated_logits.output[0],
    weights=rules.finetune_model.output.head,
)


rule fit_calibrators:
    input:
        **READ_BY_CALIBRATORS,
        split=rules.split_classes.output[0],
        logits=rules.extract_logits.output[0],
    output:
        f"{paths.RUN}/{paths.CALIBRATION}",
    log:
        "logs/calibrate/{dataset}/{source}-{target}/{backbone}/{recipe}/{split}/seed{seed}.log",
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
        "exec finecal calibrate {output} {params.study} > {log} 2>&1"


rule evaluate_run:
    input:
        **READ_BY_SCORES,
        split=rules.split_classes.output[0],
        calibration=rules.fit_calibrators.output[0],
        pretrained=rules.extract_pretrained_logits.output[0],
        logits=rules.extract_logits.output[0],
    output:
        metrics=f"{paths.RUN}/{paths.METRICS}",
        curve=f"{paths.RUN}/{paths.CURVE}",
        samples=f"{paths.RUN}/{paths.SAMPLES}",
    log:
        "logs/evaluate/{dataset}/{source}-{target}/{backbone}/{recipe}/{split}/seed{seed}.log",
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
        "exec finecal evaluate {output.metrics} {params.study} > {log} 2>&1"
