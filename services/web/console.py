"""Every router of the console; the application includes them beside the API's."""

from services.web.pages import (
    account,
    administration,
    assets,
    cases,
    files,
    home,
    jobs,
    operations,
    provider_sign_in,
    sessions,
    signing_in,
    waveforms,
)

ROUTERS = tuple(
    module.router
    for module in (
        assets,
        signing_in,
        provider_sign_in,
        account,
        home,
        cases,
        sessions,
        waveforms,
        files,
        jobs,
        operations,
        administration,
    )
)
