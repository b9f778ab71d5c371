"""The page with the answer."""


rule report:
    """The page with the answer."""
    input:
        expand(
            f"{paths.TABLE}.parquet", table=[*WORKFLOW.report_reads, *WORKFLOW.tables]
        ),
        expand(f"{paths.FIGURE}.svg", figure=WORKFLOW.figures),
        lambda w: files_of_page(PLAN),
    output:
        report(
            STAGES["report"].outputs["page"],
            caption="../report/report.rst",
            category="Answer",
        ),
        STAGES["report"].outputs["studies"],
    log:
        STAGES["report"].log,
    conda:
        CONDA
    resources:
        mem_mb=lambda w, attempt: 4000 * attempt,
        runtime=lambda w, attempt: 20 * attempt,
    params:
        stage=lambda w: WORKFLOW.stage("report", w),
        study=STUDY,
    shell:
        command("exec finecal report {params.study} > {log} 2>&1")
