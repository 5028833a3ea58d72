"""How often is the verdict of the transfer matrix wrong?  See-Far worlds with and without non-robust features.

python jobs/worlds.py                                                 # 20 + 20 worlds of the calibration
python jobs/worlds.py thresholds=true                                 # and what other thresholds would have said
python jobs/worlds.py split=held_out without=110 having=110           # worlds that the thresholds never saw
"""

from raylab.stop import importing

with importing():
    from raylab import cli, runner
    from raylab.progress import Progress
    from raylab.recipes.worlds import Worlds, plan
    from raylab.report import worlds_thresholds
    from raylab.report.terminal import preview
    from raylab.report.worlds import as_csv, as_text, judged, page, publication, record


def main() -> None:
    with cli.job(Worlds, plan, __doc__) as (studies, site):
        cells = {(study.key, cell): stage for study in studies for cell, stage in study.cells.items()}
        if site.dry_run:
            print(preview(cells, site.store))
            return
        built = runner.build(cells, site.store, site.backend, Progress())
        for study in studies:
            found = judged(study.config, study.key, {cell: built[study.key, cell] for cell in study.cells})
            with site.tracker.job(f"worlds/{study.config.study}", record(study.config, study.key)) as run:
                html = page(found).encode()
                run.publish(publication(found, {"worlds.csv": as_csv(found).encode(), "report.html": html}))
            print(as_text(found))
            if study.config.thresholds:
                print(worlds_thresholds.as_text(found))
            print(f"\npage      {site.keep_report('worlds', html)}\ntracking  {site.tracker.describe()}")


if __name__ == "__main__":
    main()
