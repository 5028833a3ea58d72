"""Can a network learn from nothing but the errors of another?  (Wallace, Distill 2019)

python jobs/learning_from_errors.py                          # digits, See-Far, photographs, a toy: on this machine
python jobs/learning_from_errors.py configs/learning_from_errors/mnist_to_fashion.yaml        # with RAYLAB_DATA
ray job submit --working-dir . -- python jobs/learning_from_errors.py toy=null errors.rounds=5
"""

from contextlib import ExitStack

from raylab import cli, runner
from raylab.progress import Progress
from raylab.recipes.errors import LearningFromErrors, plan
from raylab.report.errors.page import files, page, parent, publication, section
from raylab.report.errors.table import measured
from raylab.report.errors.text import as_text
from raylab.report.terminal import preview


def main() -> None:
    with cli.job(LearningFromErrors, plan, __doc__) as (studies, site):  # bad input ends here, before compute
        cells = {(study.key, cell): stage for study in studies for cell, stage in study.cells.items()}
        if site.dry_run:
            print(preview(cells, site.store))
            return
        with ExitStack() as open_runs:
            runs = [
                open_runs.enter_context(
                    site.tracker.job(f"errors/{study.config.study}", parent(study.config, study.key))
                )
                for study in studies
            ]
            built = runner.build(cells, site.store, site.backend, Progress())  # what the store lacks; again: resumes
            found = [
                measured(study.config, study.key, {cell: built[study.key, cell] for cell in study.cells})
                for study in studies
            ]
            sections = [section(errors) for errors in found]
            html = page(sections).encode()
            for run, one in zip(runs, sections, strict=True):
                run.publish(publication(one, {**files(one), "report.html": html}))
        print(*[as_text(errors) for errors in found], sep="\n\n")
        print(f"\npage      {site.keep_report('learning_from_errors', html)}\ntracking  {site.tracker.describe()}")


if __name__ == "__main__":
    main()
