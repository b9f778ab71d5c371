"""The pretrained model of a source domain; the tasks with this source share it."""


rule pretrain:
    input:
        images=INPUTS.of_pretraining,
    output:
        **STAGES["pretrain"].outputs,
    log:
        STAGES["pretrain"].log,
    conda:
        CONDA
    threads: WORKFLOW.threads
    resources:
        gpu=GPUS,
        gpu_percent=GPU_PERCENT,
        mem_mb=lambda w, attempt: 8000 * attempt,
        runtime=lambda w, attempt: 240 * attempt,
    params:
        stage=lambda w: WORKFLOW.stage("pretrain", w),
        study=STUDY,
        torch=TORCH,
    shell:
        command(
            "exec finecal pretrain {output.model} {params.study} {params.torch} --threads {threads} > {log} 2>&1"
        )
