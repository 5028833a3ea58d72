"""Is robustness a property of the data?  (Ilyas et al. 2019, section 3.1 and tables 7 and 8)

python jobs/robust_features.py                                       # the embedded See-Far, on this machine
python jobs/robust_features.py configs/robust_features/digits.yaml robustness.rows=100
ray job submit --working-dir . -- python jobs/robust_features.py configs/robust_features/cifar10.yaml
"""

from contextlib import ExitStack

from raylab import cli, runner
from raylab.progress import Progress
from raylab.recipes.robust_features import RobustFeatures, plan
from raylab.report.robust.page import page, section
from raylab.report.robust.publication import files, parent, publication
from raylab.report.robust.table import measured
from raylab.report.robust.text import as_text
from raylab.report.terminal import preview


def main() -> None:
    with cli.job(RobustFeatures, plan, __doc__) as (studies, site):  # bad input ends here, before a GPU is asked for
        cells = {(study.key, cell): stage for study in studies for cell, stage in study.cells.items()}
        if site.dry_run:
            print(preview(cells, site.store))
            return
        with ExitStack() as open_runs:
            runs = [
                open_runs.enter_context(
                    site.tracker.job(f"robust_features/{study.config.study}", parent(study.config, study.key))
                )
                for study in studies
            ]
            built = runner.build(cells, site.store, site.backend, Progress())  # what the store lacks; again: resumes
            sections = [
                section(measured(study.config, study.key, {cell: built[study.key, cell] for cell in study.cells}))
                for study in studies
            ]
            html = page(sections).encode()
            for run, shown in zip(runs, sections, strict=True):
                kept = files(shown.table, list(shown.pictures.values()))
                run.publish(publication(shown.table, {**kept, "report.html": html}))
        print(*[as_text(shown.table) for shown in sections], sep="\n\n")
        print(f"\npage      {site.keep_report('robust_features', html)}\ntracking  {site.tracker.describe()}")


if __name__ == "__main__":
    main()
