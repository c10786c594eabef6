"""pg_catalog, information_schema and sys: virtual tables over the versioned catalogue."""

from tausql.sql.catalogue.views.catalogue_views import CatalogueViews

__all__ = ["CatalogueViews"]
