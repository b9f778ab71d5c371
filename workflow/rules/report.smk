"""The page with the answer."""


rule write_report:
    """The page with the answer."""
    input:
        expand(
            f"{paths.TABLE}.parquet", table=[*WORKFLOW.report_reads, *WORKFLOW.tables]
        ),
        expand(f"{paths.FIGURE}.svg", figure=WORKFLOW.figures),
    output:
        report(paths.REPORT, caption="../report/report.rst", category="Answer"),
        paths.RESOLVED,
    log:
        "logs/report.log",
    conda:
        CONDA
    resources:
        mem_mb=2000,
        runtime=10,
    params:
        stage=lambda w: WORKFLOW.stage("report", w),
        study=STUDY,
    shell:
        "exec finecal report {params.study} > {log} 2>&1"
