"""The pretrained model of a source domain; the tasks with this source share it."""


rule pretrain_model:
    input:
        images=INPUTS.of_pretraining,
    output:
        model=f"{paths.PRETRAINED}/{paths.MODEL}",
        head=f"{paths.PRETRAINED}/{paths.HEAD}",
        history=f"{paths.PRETRAINED}/{paths.HISTORY}",
    log:
        "logs/pretrain/{dataset}/{source}/{backbone}.log",
    benchmark:
        paths.MEASURED["pretrain"]
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
        "exec finecal pretrain {output.model} {params.study} {params.torch} --threads {threads} > {log} 2>&1"
