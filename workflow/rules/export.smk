"""The calibrated classifier of a run, for timm and ONNX Runtime."""


rule export:
    input:
        split=rules.split.output[0],
        images=INPUTS.images("target"),
        pretrained=rules.pretrain.output.model,
        model=rules.finetune.output.model,
        head=rules.finetune.output.head,
        calibration=rules.calibrate.output[0],
        metrics=rules.evaluate.output.metrics,
    output:
        **STAGES["export"].outputs,
    log:
        STAGES["export"].log,
    conda:
        CONDA
    threads: WORKFLOW.threads
    resources:
        mem_mb=lambda w, attempt: 8000 * attempt,
        runtime=lambda w, attempt: 30 * attempt,
    params:
        stage=lambda w: WORKFLOW.stage("export", w),
        run=lambda w: NotCompared(lambda: WORKFLOW.run_folder(w)),
        study=STUDY,
    shell:
        command(
            "exec finecal export {params.run} --calibrator {wildcards.calibrator} {params.study} "
            "--threads {threads} > {log} 2>&1"
        )
