"""Fine-tuning on the target domain's samples of S, and on pseudo-splits of S.

On the split `all`, S is all of Y: the same rule makes the upper bound.
"""


rule finetune_model:
    input:
        model=rules.pretrain_model.output.model,
        images=paths.IMAGES_OF_TARGET,
        split=rules.split_classes.output[0],
    output:
        model=f"{paths.RUN}/{paths.MODEL}",
        head=f"{paths.RUN}/{paths.HEAD}",
        history=f"{paths.RUN}/{paths.HISTORY}",
    log:
        "logs/finetune/{dataset}/{source}-{target}/{backbone}/{recipe}/{split}/seed{seed}.log",
    benchmark:
        paths.MEASURED["finetune"]
    conda:
        CONDA
    threads: WORKFLOW.threads
    resources:
        gpu=GPUS,
        gpu_percent=GPU_PERCENT,
        mem_mb=lambda w, attempt: 8000 * attempt,
        runtime=lambda w, attempt: 120 * attempt,
    params:
        stage=lambda w: WORKFLOW.stage("finetune", w),
        study=STUDY,
        torch=TORCH,
    shell:
        "exec finecal finetune {output.model} {params.study} {params.torch} --threads {threads} > {log} 2>&1"


rule finetune_pseudo_splits:
    input:
        model=rules.pretrain_model.output.model,
        images=paths.IMAGES_OF_TARGET,
        split=rules.split_classes.output[0],
    output:
        logits=paths.PSEUDO_LOGITS,
        history=paths.PSEUDO_HISTORY,
    log:
        "logs/pcv/{dataset}/{source}-{target}/{backbone}/{recipe}/{split}/seed{seed}.log",
    benchmark:
        paths.MEASURED["pcv"]
    conda:
        CONDA
    threads: WORKFLOW.threads
    resources:
        gpu=GPUS,
        gpu_percent=GPU_PERCENT,
        mem_mb=lambda w, attempt: 8000 * attempt,
        runtime=lambda w, attempt: 360 * attempt,
    params:
        stage=lambda w: WORKFLOW.stage("pseudo", w),
        study=STUDY,
        torch=TORCH,
    shell:
        "exec finecal finetune {output.logits} {params.study} {params.torch} --threads {threads} > {log} 2>&1"
