"""Images, decoded once and packed; and the division of the classes into S and U."""


rule prepare_domain:
    output:
        paths.IMAGES,
    log:
        "logs/prepare/{dataset}/{domain}.log",
    benchmark:
        paths.MEASURED["prepare"]
    conda:
        CONDA
    resources:
        mem_mb=lambda w, attempt: 4000 * attempt,
        runtime=lambda w, attempt: 60 * attempt,
    params:
        stage=lambda w: WORKFLOW.stage("prepare", w),
        study=STUDY,
    shell:
        "exec finecal prepare {output} {params.study} > {log} 2>&1"


rule split_classes:
    input:
        WORKFLOW.split_inputs,
    output:
        paths.SPLIT,
    log:
        "logs/split/{dataset}/{split}.log",
    conda:
        CONDA
    resources:
        mem_mb=2000,
        runtime=5,
    params:
        stage=lambda w: WORKFLOW.stage("split", w),
        study=STUDY,
    shell:
        "exec finecal split {output} {params.study} > {log} 2>&1"
