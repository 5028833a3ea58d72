"""Worlds where the answer is known.  (Ilyas et al. 2019, section 4, and the discussion of their paper)

python jobs/theory.py                                     # embedded; MNIST too where RAYLAB_DATA has it
python jobs/theory.py configs/theory/cifar10.yaml         # Goh's plane of trucks and frogs
python jobs/theory.py squares.dimensions="[100]" seeds="[0, 1, 2]"
"""

from contextlib import ExitStack

from raylab import cli, runner
from raylab.progress import Progress
from raylab.recipes.theory import Theory, plan
from raylab.report.terminal import preview
from raylab.report.theory.figures import draw
from raylab.report.theory.page import files, page, parent, publication
from raylab.report.theory.table import as_text, measured


def main() -> None:
    with cli.job(Theory, plan, __doc__) as (studies, site):  # bad input ends here, before anything is computed
        cells = {(study.key, cell): stage for study in studies for cell, stage in study.cells.items()}
        if site.dry_run:
            print(preview(cells, site.store))
            return
        with ExitStack() as open_runs:
            runs = [
                open_runs.enter_context(
                    site.tracker.job(f"theory/{study.config.study}", parent(study.config, study.key))
                )
                for study in studies
            ]
            built = runner.build(cells, site.store, site.backend, Progress())
            results = [
                measured(study.config, study.key, {cell: built[study.key, cell] for cell in study.cells})
                for study in studies
            ]
            drawn = [draw(result) for result in results]
            html = page(results, drawn).encode()
            for run, result, pictures in zip(runs, results, drawn, strict=True):
                run.publish(publication(result, {**files(result, pictures), "report.html": html}))
        print(*[as_text(result) for result in results], sep="\n\n")
        print(f"\npage      {site.keep_report('theory', html)}\ntracking  {site.tracker.describe()}")


if __name__ == "__main__":
    main()
