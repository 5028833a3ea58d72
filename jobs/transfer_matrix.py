"""Do the perturbations of one network teach another?  (Ilyas et al. 2019, section 3.2 and figure 3)

python jobs/transfer_matrix.py                                        # the embedded digits, on this machine
python jobs/transfer_matrix.py configs/transfer_matrix/mnist.yaml attack.eps=1.5
ray job submit --working-dir . -- python jobs/transfer_matrix.py configs/transfer_matrix/cifar10.yaml
"""

from contextlib import ExitStack

from raylab import cli, runner
from raylab.progress import Progress
from raylab.recipes.transfer_matrix import TransferMatrix, plan
from raylab.report.terminal import preview
from raylab.report.transfer.files import files
from raylab.report.transfer.gallery import draw
from raylab.report.transfer.matrix import measured
from raylab.report.transfer.page import page
from raylab.report.transfer.publication import parent, publication
from raylab.report.transfer.text import as_text


def main() -> None:
    with cli.job(TransferMatrix, plan, __doc__) as (studies, site):  # bad input ends here, before a GPU is asked for
        cells = {(study.key, cell): stage for study in studies for cell, stage in study.cells.items()}
        if site.dry_run:
            print(preview(cells, site.store))
            return
        with ExitStack() as open_runs:
            runs = [
                open_runs.enter_context(
                    site.tracker.job(f"transfer/{study.config.study}", parent(study.config, study.key))
                )
                for study in studies
            ]
            built = runner.build(cells, site.store, site.backend, Progress())  # what the store lacks; again: resumes
            galleries = [
                draw(measured(study.config, study.key, {cell: built[study.key, cell] for cell in study.cells}))
                for study in studies
            ]
            html = page(galleries).encode()
            for run, gallery in zip(runs, galleries, strict=True):
                run.publish(publication(gallery.matrix, {**files(gallery), "report.html": html}))
        print(*[as_text(gallery.matrix) for gallery in galleries], sep="\n\n")
        print(f"\npage      {site.keep_report('transfer_matrix', html)}\ntracking  {site.tracker.describe()}")


if __name__ == "__main__":
    main()
