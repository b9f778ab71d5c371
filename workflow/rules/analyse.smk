"""What the figures show of single runs: how the head's rows moved, where the features lie."""


rule compare_updates:
    """Which classes' rows of the head moved alike."""
    input:
        split=rules.split_classes.output[0],
        pretrained=rules.pretrain_model.output.head,
        head=rules.finetune_model.output.head,
    output:
        similarity=f"{paths.RUN}/{paths.UPDATE_SIMILARITY}",
        means=f"{paths.RUN}/{paths.UPDATE_SIMILARITY_MEANS}",
    log:
        "logs/similarity/{dataset}/{source}-{target}/{backbone}/{recipe}/{split}/seed{seed}.log",
    conda:
        CONDA
    resources:
        in_turn=IN_TURN,
        mem_mb=lambda w, attempt: 2000 * attempt,
        runtime=lambda w, attempt: 5 * attempt,
    params:
        stage=WORKFLOW.stage("similarity"),
    shell:
        "exec finecal similarity {output.similarity} > {log} 2>&1"


rule map_features:
    """Where the features of the test samples lie before and after."""
    input:
        split=rules.split_classes.output[0],
        pretrained=rules.extract_pretrained_logits.output[0],
        logits=rules.extract_logits.output[0],
    output:
        f"{paths.RUN}/{paths.FEATURE_MAP}",
    log:
        "logs/embed/{dataset}/{source}-{target}/{backbone}/{recipe}/{split}/seed{seed}.log",
    conda:
        CONDA
    resources:
        mem_mb=lambda w, attempt: 4000 * attempt,
        runtime=lambda w, attempt: 20 * attempt,
    params:
        stage=WORKFLOW.stage("embed"),
    shell:
        "exec finecal embed {output} > {log} 2>&1"


rule map_regions:
    """What the classifiers of a run predict in the plane; of the data set toy."""
    input:
        split=rules.split_classes.output[0],
        images=paths.IMAGES_OF_TARGET,
        pretrained=rules.pretrain_model.output.model,
        model=rules.finetune_model.output.model,
        calibration=rules.fit_calibrators.output[0],
    output:
        f"{paths.RUN}/{paths.DECISION_REGIONS}",
    log:
        "logs/regions/{dataset}/{source}-{target}/{backbone}/{recipe}/{split}/seed{seed}.log",
    conda:
        CONDA
    threads: WORKFLOW.threads
    resources:
        gpu=GPUS,
        gpu_percent=GPU_PERCENT,
        mem_mb=lambda w, attempt: 4000 * attempt,
        runtime=lambda w, attempt: 20 * attempt,
    params:
        stage=WORKFLOW.stage("regions"),
        torch=TORCH,
    shell:
        "exec finecal regions {output} {params.torch} --threads {threads} > {log} 2>&1"


rule fit_gamma_on_parts:
    """How much data the calibrators of a run need."""
    input:
        **READ_BY_CALIBRATORS,
        split=rules.split_classes.output[0],
        logits=rules.extract_logits.output[0],
    output:
        f"{paths.RUN}/{paths.GAMMA_DRAWS}",
    log:
        "logs/gamma_data/{dataset}/{source}-{target}/{backbone}/{recipe}/{split}/seed{seed}.log",
    conda:
        CONDA
    resources:
        in_turn=IN_TURN,
        mem_mb=lambda w, attempt: 4000 * attempt,
        runtime=lambda w, attempt: 5 * attempt,
    params:
        stage=WORKFLOW.stage_of_runs("gamma_data"),
        study=STUDY,
    shell:
        "exec finecal gamma-data {output} {params.study} > {log} 2>&1"
