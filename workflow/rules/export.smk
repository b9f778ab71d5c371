"""The calibrated classifier of a run, for timm and ONNX Runtime."""


rule export_model:
    input:
        split=rules.split_classes.output[0],
        images=paths.IMAGES_OF_TARGET,
        pretrained=rules.pretrain_model.output.model,
        model=rules.finetune_model.output.model,
        head=rules.finetune_model.output.head,
        calibration=rules.fit_calibrators.output[0],
        metrics=rules.evaluate_run.output.metrics,
    output:
        config=f"{paths.EXPORT}/config.json",
        model=f"{paths.EXPORT}/{paths.MODEL}",
        calibration=f"{paths.EXPORT}/calibration.json",
        card=f"{paths.EXPORT}/README.md",
        check=f"{paths.EXPORT}/{paths.CHECK}",
    log:
        "logs/export/{dataset}/{source}-{target}/{backbone}/{recipe}/{split}/seed{seed}/{calibrator}.log",
    conda:
        CONDA
    threads: WORKFLOW.threads
    resources:
        mem_mb=lambda w, attempt: 8000 * attempt,
        runtime=lambda w, attempt: 30 * attempt,
    params:
        stage=lambda w: WORKFLOW.stage("export", w),
        run=lambda w: Told(lambda: WORKFLOW.run_folder(w)),
        study=STUDY,
    shell:
        "exec finecal export {params.run} --calibrator {wildcards.calibrator} {params.study} "
        "--threads {threads} > {log} 2>&1"
