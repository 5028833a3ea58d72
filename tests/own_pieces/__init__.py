"""A package of somebody else, which knows nothing of raylab: what configs name as `own_pieces.networks:narrow`."""
