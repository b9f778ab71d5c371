"""Downloads; images, decoded once and packed; and the division of the classes into S and U."""


rule download:
    output:
        **STAGES["download"].outputs,
    log:
        STAGES["download"].log,
    localrule: True  # compute nodes often have no network
    conda:
        CONDA
    params:
        study=STUDY,
        mirror=MIRROR,
    shell:
        command(
            "exec finecal download {output} {params.study} {params.mirror} > {log} 2>&1"
        )


rule prepare:
    input:
        INPUTS.downloads,
    output:
        **STAGES["prepare"].outputs,
    log:
        STAGES["prepare"].log,
    conda:
        CONDA
    threads: lambda w: WORKFLOW.decoding_threads(w.dataset)
    resources:
        mem_mb=lambda w, attempt: 4000 * attempt,
        runtime=lambda w, attempt: 60 * attempt,
    params:
        stage=lambda w: WORKFLOW.stage("prepare", w),
        study=STUDY,
    shell:
        command(
            "exec finecal prepare {output} {params.study} --threads {threads} > {log} 2>&1"
        )


rule frame:
    input:
        INPUTS.downloads,
    output:
        **STAGES["frame"].outputs,
    log:
        STAGES["frame"].log,
    conda:
        CONDA
    threads: lambda w: WORKFLOW.decoding_threads(w.dataset)
    resources:
        mem_mb=lambda w, attempt: 4000 * attempt,
        runtime=lambda w, attempt: 60 * attempt,
    params:
        stage=lambda w: WORKFLOW.stage("frame", w),
        study=STUDY,
    shell:
        command(
            "exec finecal frame {output} {params.study} --threads {threads} > {log} 2>&1"
        )


rule split:
    input:
        INPUTS.of_split,
    output:
        **STAGES["split"].outputs,
    log:
        STAGES["split"].log,
    conda:
        CONDA
    resources:
        in_turn=IN_TURN,
        mem_mb=lambda w, attempt: 2000 * attempt,
        runtime=lambda w, attempt: 5 * attempt,
    params:
        stage=lambda w: WORKFLOW.stage("split", w),
        study=STUDY,
    shell:
        command("exec finecal split {output} {params.study} > {log} 2>&1")
