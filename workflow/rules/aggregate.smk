"""All runs together: one long table of each kind, then the tables and figures of the paper."""


rule aggregate:
    input:
        lambda w: [
            f"{run.folder}/{paths.AGGREGATED[w.table]}"
            for run in PLAN.runs_in(w.table)
        ],
    output:
        **STAGES["aggregate"].outputs,
    log:
        STAGES["aggregate"].log,
    wildcard_constraints:
        table="|".join(paths.AGGREGATED),
    priority: 2
    conda:
        CONDA
    resources:
        in_turn=IN_TURN,
        mem_mb=lambda w, attempt: 4000 * attempt,
        runtime=lambda w, attempt: 20 * attempt,
    params:
        stage=WORKFLOW.stage("aggregate"),
        study=STUDY,
    shell:
        command("exec finecal aggregate {wildcards.table} {params.study} > {log} 2>&1")


rule cost_table:
    """What every job took."""
    input:
        lambda w: INPUTS.measured_results(),
    output:
        **STAGES["cost_table"].outputs,
    log:
        STAGES["cost_table"].log,
    priority: 2
    conda:
        CONDA
    resources:
        in_turn=IN_TURN,
        mem_mb=lambda w, attempt: 4000 * attempt,
        runtime=lambda w, attempt: 20 * attempt,
    params:
        stage=WORKFLOW.stage("cost_table"),
        study=STUDY,
    shell:
        command("exec finecal cost-table {params.study} > {log} 2>&1")


rule run_table:
    """What every run is."""
    input:
        lambda w: sorted({str(run.path(paths.SPLIT)) for run in PLAN.runs}),
    output:
        **STAGES["run_table"].outputs,
    log:
        STAGES["run_table"].log,
    priority: 2
    conda:
        CONDA
    resources:
        in_turn=IN_TURN,
        mem_mb=lambda w, attempt: 2000 * attempt,
        runtime=lambda w, attempt: 10 * attempt,
    params:
        stage=lambda w: WORKFLOW.stage("run_table"),
        study=STUDY,
    shell:
        command("exec finecal run-table {params.study} > {log} 2>&1")


rule table:
    input:
        lambda w: WORKFLOW.needs("table", w.table),
    output:
        report(
            STAGES["table"].outputs["csv"],
            caption="../report/table.rst",
            category="Tables",
            labels={"table": "{table}"},
        ),
        STAGES["table"].outputs["parquet"],
        STAGES["table"].outputs["md"],
        STAGES["table"].outputs["tex"],
    log:
        STAGES["table"].log,
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
        caption=lambda w: NotCompared(lambda: registry.description("table", w.table)),
        study=STUDY,
    shell:
        command("exec finecal table {wildcards.table} {params.study} > {log} 2>&1")


rule figure:
    input:
        lambda w: WORKFLOW.needs("figure", w.figure),
    output:
        report(
            STAGES["figure"].outputs["svg"],
            caption="../report/figure.rst",
            category="Figures",
            labels={"figure": "{figure}"},
        ),
        STAGES["figure"].outputs["png"],
        STAGES["figure"].outputs["parquet"],
    log:
        STAGES["figure"].log,
    wildcard_constraints:
        figure="|".join(registry.names("figure")),
    priority: 1
    conda:
        CONDA
    resources:
        in_turn=IN_TURN,
        mem_mb=lambda w, attempt: 2000 * attempt,
        runtime=lambda w, attempt: 5 * attempt,
    params:
        stage=lambda w: WORKFLOW.stage("figure", w),
        caption=lambda w: NotCompared(lambda: registry.description("figure", w.figure)),
        study=STUDY,
    shell:
        command("exec finecal figure {wildcards.figure} {params.study} > {log} 2>&1")
