"""Logits and features of the target domain's samples; class means of the source domain."""


rule class_means:
    input:
        model=rules.pretrain.output.model,
        images=INPUTS.images("source"),
    output:
        **STAGES["class_means"].outputs,
    log:
        STAGES["class_means"].log,
    conda:
        CONDA
    threads: WORKFLOW.threads
    resources:
        gpu=GPUS,
        gpu_percent=GPU_PERCENT,
        mem_mb=lambda w, attempt: 8000 * attempt,
        runtime=lambda w, attempt: 60 * attempt,
    params:
        stage=lambda w: WORKFLOW.stage("class_means", w),
        torch=TORCH,
    shell:
        command(
            "exec finecal class-means {output} {params.torch} --threads {threads} > {log} 2>&1"
        )


rule extract_pretrained:
    input:
        model=rules.pretrain.output.model,
        images=INPUTS.images("target"),
    output:
        **STAGES["extract_pretrained"].outputs,
    log:
        STAGES["extract_pretrained"].log,
    conda:
        CONDA
    threads: WORKFLOW.threads
    resources:
        gpu=GPUS,
        gpu_percent=GPU_PERCENT,
        mem_mb=lambda w, attempt: 8000 * attempt,
        runtime=lambda w, attempt: 60 * attempt,
    params:
        stage=WORKFLOW.stage_of_runs("extract_pretrained"),
        torch=TORCH,
    shell:
        command(
            "exec finecal extract-pretrained {output} {params.torch} --threads {threads} > {log} 2>&1"
        )


rule extract:
    input:
        model=rules.finetune.output.model,
        images=INPUTS.images("target"),
    output:
        **STAGES["extract"].outputs,
    log:
        STAGES["extract"].log,
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
        command(
            "exec finecal extract {output} {params.torch} --threads {threads} > {log} 2>&1"
        )


rule interpolate:
    input:
        pretrained=rules.pretrain.output.model,
        model=rules.finetune.output.model,
        images=INPUTS.images("target"),
    output:
        **STAGES["interpolate"].outputs,
    log:
        STAGES["interpolate"].log,
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
        command(
            "exec finecal interpolate {output} {params.study} {params.torch} --threads {threads} > {log} 2>&1"
        )
