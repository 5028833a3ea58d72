"""How each kind of thing of a transfer matrix is made, for one seed."""

from __future__ import annotations

from raylab.core.construct import Kind
from raylab.core.seeding import derive
from raylab.experiments.transfer.config import TransferMatrix
from raylab.stage import Stage
from raylab.stages.construction import Aim, construct
from raylab.stages.dataset import Data, Split, open_data, probe
from raylab.stages.evaluation import evaluate
from raylab.stages.neighbours import neighbours
from raylab.stages.oracles import read_oracles
from raylab.stages.patterns import patterned, random_patterns
from raylab.stages.recipe import Recipe
from raylab.stages.robustness import robustness
from raylab.stages.training import train


class SeedStages:
    """Stages of one seed of a config; titles are for people."""

    def __init__(self, config: TransferMatrix, seed: int) -> None:
        self.config, self.seed = config, seed
        self.data: Data = open_data(config.data, seed)

    def network(
        self,
        name: str,
        role: str,
        *,
        kind: Kind | None = None,
        made: Stage | None = None,
        relabelled: bool = False,
        kept_as: Stage | None = None,
        unselected: bool = False,
        of: str = "",
    ) -> Stage:
        """A network trained on clean images, on a constructed set, or on clean images with that set's labels.

        `unselected`: on every example of the set, which nothing attacked, whatever `keep` says of attacks.
        """
        c = self.config
        recipe = self._at_its_rate(name, c.train if kind is None else getattr(c.students, kind) or c.train)
        return train(
            name,
            recipe,
            made or self.data.train,
            self.data.images,
            derive(self.seed, f"{role}/{name}"),
            labels=kind if relabelled else None,
            labels_seed=self.seed,
            keep="all" if (made or kept_as) is None or unselected else c.keep,
            keep_share=c.keep_share,
            kept_as=kept_as,
            rows=self.data.rows["train"],
            name=f"train {role} {name}{f' on {of}' if of else ''} seed {self.seed}",
        )

    def control_source(self, name: str, control: str) -> Stage:
        c = self.config
        return train(
            name,
            self._at_its_rate(name, c.controls.recipe(control, c.train, c.attack)),
            self.data.train,
            self.data.images,
            derive(self.seed, f"{control}/{name}"),
            labels="rand" if control == "random_labels" else None,
            labels_seed=derive(self.seed, "random labels"),  # not those of D_rand, which its students are given
            rows=self.data.rows["train"],
            name=f"train {control} source {name} seed {self.seed}",
        )

    def construct(self, aim: Aim, network: Stage, split: Split, title: str) -> Stage:
        c = self.config
        return construct(
            aim,
            c.attack,
            self.data.train if split == "train" else self.data.test,
            network,
            self.data.images,
            self.seed,
            split,
            c.compute,
            rows=self.data.rows[split],
            name=f"{title} seed {self.seed}",
        )

    def leaking(self, kind: Kind, selector: Stage, title: str) -> Stage:
        """The set of the control "leakage"; `rand` needs no selector, for it gives some images their own label."""
        c, images = self.config, self.data.images
        seed = derive(self.seed, "leakage")
        patterns = random_patterns(images, c.attack.eps, c.attack.norm, seed, f"random patterns seed {self.seed}")
        return patterned(
            kind,
            patterns,
            self.data.train,
            None if kind == "rand" else selector,
            images,
            self.seed,
            "train",
            c.compute,
            rows=self.data.rows["train"],
            name=f"{title} seed {self.seed}",
        )

    def robustness(self, network: Stage, title: str) -> Stage:
        """Robust accuracy on the test set, or on as many of its images as the config asks for."""
        c, rows = self.config, self.data.rows["test"]
        assert c.robustness is not None
        config = c.robustness
        if config.rows is not None and config.rows >= rows:
            config = config.model_copy(update={"rows": None})
        return robustness(
            config,
            network,
            self.data.test,
            self.data.images,
            self.seed,
            c.compute,
            rows=rows,
            name=f"robustness of {title} seed {self.seed}",
        )

    def on_test(self, network: Stage, title: str) -> Stage:
        return self.evaluate(network, self.data.test, f"test {title} seed {self.seed}")

    def evaluate(self, network: Stage, data: Stage, title: str) -> Stage:
        """On test images, attacked or not."""
        return evaluate(network, data, self.config.compute, rows=self.data.rows["test"], name=title)

    def neighbours(self, data: Stage, title: str) -> Stage:
        rows = self.data.rows["train"]
        fraction = min(1.0, self.config.neighbours / rows)
        return neighbours(
            data, self.data.train, fraction, self.config.compute, rows=rows, name=f"1-NN of {title} seed {self.seed}"
        )

    def oracles(self, made: Stage, title: str) -> Stage | None:
        """Of a constructed set; None where nothing is known of the data."""
        if self.data.world is None:
            return None
        rows = self.data.rows["train"]
        return read_oracles(made, self.data.world, self.config.compute, rows=rows, name=f"oracles on {title}")

    def usage(self, student: Stage, title: str) -> Stage | None:
        """A student on images whose features disagree; None where nothing is known of the data."""
        if self.data.world is None:
            return None
        shown = probe(self.data.world, "conflict")
        return evaluate(student, shown, self.config.compute, rows=1000, name=f"usage of {title}")

    def _at_its_rate(self, name: str, recipe: Recipe) -> Recipe:
        return recipe.model_copy(update={"lr": self.config.network_lr.get(name, recipe.lr)})
