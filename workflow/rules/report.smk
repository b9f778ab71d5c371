"""The page with the answer."""


rule write_report:
    input:
        expand(
            f"{paths.TABLE}.parquet", table=["metrics", "calibration", "cost", *TABLES]
        ),
        expand(f"{paths.FIGURE}.svg", figure=FIGURES),
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
