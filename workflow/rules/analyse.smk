"""What the figures show of single runs: how the head's rows moved, where the features lie."""


rule update_similarity:
    """Which classes' rows of the head moved alike."""
    input:
        split=rules.split.output[0],
        pretrained=rules.pretrain.output.head,
        head=rules.finetune.output.head,
    output:
        **STAGES["update_similarity"].outputs,
    log:
        STAGES["update_similarity"].log,
    priority: 3
    conda:
        CONDA
    resources:
        in_turn=IN_TURN,
        mem_mb=lambda w, attempt: 2000 * attempt,
        runtime=lambda w, attempt: 5 * attempt,
    params:
        stage=WORKFLOW.stage("update_similarity"),
    shell:
        command("exec finecal update-similarity {output.similarity} > {log} 2>&1")


rule feature_map:
    """Where the features of the test samples lie before and after."""
    input:
        split=rules.split.output[0],
        pretrained=rules.extract_pretrained.output[0],
        logits=rules.extract.output[0],
    output:
        **STAGES["feature_map"].outputs,
    log:
        STAGES["feature_map"].log,
    priority: 3
    conda:
        CONDA
    resources:
        mem_mb=lambda w, attempt: 4000 * attempt,
        runtime=lambda w, attempt: 20 * attempt,
    params:
        stage=WORKFLOW.stage("feature_map"),
    shell:
        command("exec finecal feature-map {output} > {log} 2>&1")


rule decision_regions:
    """What the classifiers of a run predict in the plane; of the data set toy."""
    input:
        split=rules.split.output[0],
        images=paths.IMAGES_OF_TARGET,
        pretrained=rules.pretrain.output.model,
        model=rules.finetune.output.model,
        calibration=rules.calibrate.output[0],
    output:
        **STAGES["decision_regions"].outputs,
    log:
        STAGES["decision_regions"].log,
    priority: 3
    conda:
        CONDA
    threads: WORKFLOW.threads
    resources:
        gpu=GPUS,
        gpu_percent=GPU_PERCENT,
        mem_mb=lambda w, attempt: 4000 * attempt,
        runtime=lambda w, attempt: 20 * attempt,
    params:
        stage=WORKFLOW.stage("decision_regions"),
        torch=TORCH,
    shell:
        command(
            "exec finecal decision-regions {output} {params.torch} --threads {threads} > {log} 2>&1"
        )


rule gamma_draws:
    """How much data the calibrators of a run need."""
    input:
        **READ_BY_CALIBRATORS,
        split=rules.split.output[0],
        logits=rules.extract.output[0],
    output:
        **STAGES["gamma_draws"].outputs,
    log:
        STAGES["gamma_draws"].log,
    priority: 3
    conda:
        CONDA
    resources:
        in_turn=IN_TURN,
        mem_mb=lambda w, attempt: 4000 * attempt,
        runtime=lambda w, attempt: 5 * attempt,
    params:
        stage=WORKFLOW.stage_of_runs("gamma_draws"),
        study=STUDY,
    shell:
        command("exec finecal gamma-draws {output} {params.study} > {log} 2>&1")
