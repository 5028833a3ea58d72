"""What is the accuracy of a constructed set worth?  (Jordan, Goh, Nakkiran, Park et al. and Ilyas et al.)

python jobs/controls.py                                 # the synthetic world See-Far, on this machine
python jobs/controls.py configs/controls/seefar.yaml configs/controls/digits.yaml
ray job submit --working-dir . -- python jobs/controls.py configs/controls/digits.yaml
"""

from contextlib import ExitStack

from raylab import cli, runner
from raylab.progress import Progress
from raylab.recipes.controls import ControlStudy, plan
from raylab.report.controls.page import files, page, parent, publication, section
from raylab.report.controls.rows import measured
from raylab.report.controls.text import as_text
from raylab.report.terminal import preview


def main() -> None:
    with cli.job(ControlStudy, plan, __doc__) as (studies, site):  # bad input ends here, before compute
        cells = {(study.key, cell): stage for study in studies for cell, stage in study.cells.items()}
        if site.dry_run:
            print(preview(cells, site.store))
            return
        with ExitStack() as open_runs:
            runs = [
                open_runs.enter_context(
                    site.tracker.job(f"controls/{study.config.study}", parent(study.config, study.key))
                )
                for study in studies
            ]
            built = runner.build(cells, site.store, site.backend, Progress())  # what the store lacks; again: resumes
            found = [
                measured(study.config, study.key, {cell: built[study.key, cell] for cell in study.cells})
                for study in studies
            ]
            sections = [section(controls) for controls in found]
            html = page(sections).encode()
            for run, one in zip(runs, sections, strict=True):
                run.publish(publication(one.controls, {**files(one), "report.html": html}))
        print(*[as_text(controls) for controls in found], sep="\n\n")
        print(f"\npage      {site.keep_report('controls', html)}\ntracking  {site.tracker.describe()}")


if __name__ == "__main__":
    main()
