"""Fit the calibrators of a run, each on the data it declares; score everything."""


rule fit_calibrators:
    input:
        unpack(INPUTS.of_calibration),
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
        stage=lambda w: WORKFLOW.stage("calibrate", w),
        study=STUDY,
    shell:
        "exec finecal calibrate {output} {params.study} > {log} 2>&1"


rule evaluate_run:
    input:
        unpack(INPUTS.of_evaluation),
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
        stage=lambda w: WORKFLOW.stage("evaluate", w),
        study=STUDY,
    shell:
        "exec finecal evaluate {output.metrics} {params.study} > {log} 2>&1"
