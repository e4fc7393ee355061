"""Where work comes to rest between parsing and loading: plans, manifests, segments."""
