"""Logits and features of the target domain's samples; class means of the source domain."""


rule extract_class_means:
    input:
        model=rules.pretrain_model.output.model,
        images=paths.IMAGES.replace("{domain}", "{source}"),
    output:
        f"{paths.PRETRAINED}/{paths.CLASS_MEANS}",
    log:
        "logs/extract/{dataset}/{source}/{backbone}/class_means.log",
    conda:
        CONDA
    threads: WORKFLOW.threads
    resources:
        gpu=GPUS,
        gpu_percent=GPU_PERCENT,
        mem_mb=lambda w, attempt: 8000 * attempt,
        runtime=lambda w, attempt: 60 * attempt,
    params:
        stage=lambda w: WORKFLOW.stage("means", w),
        torch=TORCH,
    shell:
        "exec finecal extract {output} {params.torch} --threads {threads} > {log} 2>&1"


rule extract_pretrained_logits:
    input:
        model=rules.pretrain_model.output.model,
        images=paths.IMAGES_OF_TARGET,
    output:
        paths.PRETRAINED_LOGITS,
    log:
        "logs/extract/{dataset}/{source}-{target}/{backbone}/pretrained.log",
    benchmark:
        paths.MEASURED["extract_pretrained"]
    conda:
        CONDA
    threads: WORKFLOW.threads
    resources:
        gpu=GPUS,
        gpu_percent=GPU_PERCENT,
        mem_mb=lambda w, attempt: 8000 * attempt,
        runtime=lambda w, attempt: 60 * attempt,
    params:
        stage=WORKFLOW.stage_of_runs("extract"),
        torch=TORCH,
    shell:
        "exec finecal extract {output} {params.torch} --threads {threads} > {log} 2>&1"


rule extract_logits:
    input:
        model=rules.finetune_model.output.model,
        images=paths.IMAGES_OF_TARGET,
    output:
        f"{paths.RUN}/{paths.LOGITS}",
    log:
        "logs/extract/{dataset}/{source}-{target}/{backbone}/{recipe}/{split}/seed{seed}.log",
    benchmark:
        paths.MEASURED["extract"]
    conda:
        CONDA
    threads: WORKFLOW.threads
    resources:
        # The training has left them, so that they are mostly copied, in a second.
        in_turn=IN_TURN,
        gpu=GPUS,
        gpu_percent=GPU_PERCENT,
        mem_mb=lambda w, attempt: 8000 * attempt,
        runtime=lambda w, attempt: 20 * attempt,
    params:
        stage=WORKFLOW.stage_of_runs("extract"),
        torch=TORCH,
    shell:
        "exec finecal extract {output} {params.torch} --threads {threads} > {log} 2>&1"


rule extract_interpolated_logits:
    input:
        pretrained=rules.pretrain_model.output.model,
        model=rules.finetune_model.output.model,
        images=paths.IMAGES_OF_TARGET,
    output:
        paths.INTERPOLATED,
    log:
        "logs/interpolate/{dataset}/{source}-{target}/{backbone}/{recipe}/{split}/seed{seed}.log",
    benchmark:
        paths.MEASURED["interpolate"]
    conda:
        CONDA
    threads: WORKFLOW.threads
    resources:
        gpu=GPUS,
        gpu_percent=GPU_PERCENT,
        mem_mb=lambda w, attempt: 8000 * attempt,
        runtime=lambda w, attempt: 60 * attempt,
    params:
        stage=WORKFLOW.stage_of_runs("interpolate"),
        study=STUDY,
        torch=TORCH,
    shell:
        "exec finecal extract {output} {params.study} {params.torch} --threads {threads} > {log} 2>&1"
