"""Configs: YAML files as strict, frozen values, every problem of which is listed at once with a remedy."""

from raylab.config.model import AnyValue, Config, ConfigError, as_dict, as_yaml, load, to_yaml, to_yaml_value

__all__ = ["AnyValue", "Config", "ConfigError", "as_dict", "as_yaml", "load", "to_yaml", "to_yaml_value"]
