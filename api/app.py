"""The application factory: ``create_app`` builds the Flask app from the given services."""

from flask_openapi.openapi import OpenAPI

from api.auth import bearer, keys
from api.campaigns import (
    actions,
    proofs,
    public_links as campaign_public_links,
    public_results,
    recipient_erasure,
    recipients,
    results,
    routes as campaign_routes,
)
from api.console import setup
from api.images import assets, files, quarantine, routes as image_routes, verification
from api.jobs import attempts, events, routes as job_routes, styles
from api.runtime.context import EXTENSION, AppContext, Services, find_client_address
from api.server.exchange import SMALL_BODY_BYTES
from api.system import audit, entry, health, models, openapi, overview, usage
from api.web import access_log, errors, file_routes
from api.web.strict_json import StrictRequest
from api.webhooks import deliveries, routes
from common.settings import Settings
from common.settings.private_files import protect_data_directory

RESOURCES = (
    job_routes,
    attempts,
    events,
    assets,
    image_routes,
    verification,
    quarantine,
    models,
    overview,
    styles,
    campaign_routes,
    recipients,
    actions,
    proofs,
    results,
    campaign_public_links,
    recipient_erasure,
    public_results,
    usage,
    routes,
    deliveries,
    keys,
    audit,
    files,
    health,
)
"""The modules whose ``blueprint`` is registered on the app."""


def create_app(settings: Settings, *, services: Services) -> OpenAPI:
    """Return the Flask app that uses *services*."""
    protect_data_directory(settings.home)
    app = OpenAPI(
        __name__,
        info=openapi.INFO,
        security_schemes=openapi.SECURITY_SCHEMES,
        validation_error_status="default",
        doc_ui=False,
        static_folder=None,
    )
    app.request_class = StrictRequest
    app.config["MAX_CONTENT_LENGTH"] = SMALL_BODY_BYTES
    app.config["MAX_FORM_MEMORY_SIZE"] = SMALL_BODY_BYTES
    app.config["PROVIDE_AUTOMATIC_OPTIONS"] = False
    app.url_map.merge_slashes = False
    app.config[errors.BASE_URL] = settings.base_url
    app.extensions[EXTENSION] = AppContext.of(services)
    access_log.install(app, find_client_address)
    errors.install(app)
    file_routes.install(app)
    bearer.install(app)
    for resource in RESOURCES:
        app.register_api(resource.blueprint)
    openapi.install(app)
    entry.install(app)
    setup.install(app)
    return app
