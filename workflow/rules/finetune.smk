"""Fine-tuning on the target domain's samples of S, and on pseudo-splits of S.

On the split `all`, S is all of Y: the same rule makes the upper bound.
"""


rule finetune:
    input:
        model=rules.pretrain.output.model,
        images=INPUTS.images("target"),
        split=rules.split.output[0],
    output:
        **STAGES["finetune"].outputs,
    log:
        STAGES["finetune"].log,
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
        command(
            "exec finecal finetune {output.model} {params.study} {params.torch} --threads {threads} > {log} 2>&1"
        )


rule pseudo_splits:
    input:
        model=rules.pretrain.output.model,
        images=INPUTS.images("target"),
        split=rules.split.output[0],
    output:
        **STAGES["pseudo_splits"].outputs,
    log:
        STAGES["pseudo_splits"].log,
    conda:
        CONDA
    threads: WORKFLOW.threads
    resources:
        gpu=GPUS,
        gpu_percent=GPU_PERCENT,
        mem_mb=lambda w, attempt: 8000 * attempt,
        runtime=lambda w, attempt: 360 * attempt,
    params:
        stage=lambda w: WORKFLOW.stage("pseudo_splits", w),
        study=STUDY,
        torch=TORCH,
    shell:
        command(
            "exec finecal pseudo-splits {output.logits} {params.study} {params.torch} --threads {threads} > {log} 2>&1"
        )
