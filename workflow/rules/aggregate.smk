"""All runs together: one long table of each kind, then the tables and figures of the paper."""


rule aggregate_runs:
    input:
        lambda w: [
            f"{run.folder}/{paths.AGGREGATED[w.table]}"
            for run in PLAN.runs_in(w.table)
        ],
    output:
        f"{paths.TABLE}.parquet",
    log:
        "logs/aggregate/{table}.log",
    wildcard_constraints:
        table="|".join(paths.AGGREGATED),
    conda:
        CONDA
    resources:
        mem_mb=lambda w, attempt: 4000 * attempt,
        runtime=lambda w, attempt: 20 * attempt,
    params:
        stage=WORKFLOW.stage("aggregate"),
        study=STUDY,
    shell:
        "exec finecal aggregate {wildcards.table} {params.study} > {log} 2>&1"


rule aggregate_cost:
    """What every job took."""
    input:
        lambda w: INPUTS.measured(),
    output:
        paths.TABLE.format(table="cost") + ".parquet",
    log:
        "logs/aggregate/cost.log",
    conda:
        CONDA
    resources:
        mem_mb=lambda w, attempt: 4000 * attempt,
        runtime=lambda w, attempt: 20 * attempt,
    params:
        stage=WORKFLOW.stage("cost"),
        study=STUDY,
    shell:
        "exec finecal aggregate cost {params.study} > {log} 2>&1"


rule list_runs:
    """What every run is."""
    input:
        lambda w: sorted({str(run.path(paths.SPLIT)) for run in PLAN.runs}),
    output:
        paths.TABLE.format(table="runs") + ".parquet",
    log:
        "logs/aggregate/runs.log",
    conda:
        CONDA
    resources:
        mem_mb=lambda w, attempt: 2000 * attempt,
        runtime=lambda w, attempt: 10 * attempt,
    params:
        stage=lambda w: WORKFLOW.stage("runs"),
        study=STUDY,
    shell:
        "exec finecal aggregate runs {params.study} > {log} 2>&1"


rule make_table:
    input:
        lambda w: WORKFLOW.needs("table", w.table),
    output:
        report(
            f"{paths.TABLE}.csv",
            caption="../report/table.rst",
            category="Tables",
            labels={"table": "{table}"},
        ),
        multiext(paths.TABLE, ".parquet", ".md", ".tex"),
    log:
        "logs/table/{table}.log",
    wildcard_constraints:
        table="|".join(registry.names("table")),
    conda:
        CONDA
    resources:
        in_turn=IN_TURN,
        mem_mb=lambda w, attempt: 2000 * attempt,
        runtime=lambda w, attempt: 5 * attempt,
    params:
        stage=lambda w: WORKFLOW.stage("table", w),
        caption=lambda w: Told(lambda: registry.description("table", w.table)),
        study=STUDY,
    shell:
        "exec finecal table {wildcards.table} {params.study} > {log} 2>&1"


rule draw_figure:
    input:
        lambda w: WORKFLOW.needs("figure", w.figure),
    output:
        report(
            f"{paths.FIGURE}.svg",
            caption="../report/figure.rst",
            category="Figures",
            labels={"figure": "{figure}"},
        ),
        multiext(paths.FIGURE, ".png", ".parquet"),
    log:
        "logs/figure/{figure}.log",
    wildcard_constraints:
        figure="|".join(registry.names("figure")),
    conda:
        CONDA
    resources:
        in_turn=IN_TURN,
        mem_mb=lambda w, attempt: 2000 * attempt,
        runtime=lambda w, attempt: 5 * attempt,
    params:
        stage=lambda w: WORKFLOW.stage("figure", w),
        caption=lambda w: Told(lambda: registry.description("figure", w.figure)),
        study=STUDY,
    shell:
        "exec finecal figure {wildcards.figure} {params.study} > {log} 2>&1"
