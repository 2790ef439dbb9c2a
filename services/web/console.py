"""Every router of the console; the application includes them beside the API's."""

from services.web.pages import (
    account,
    administration,
    assets,
    cases,
    files,
    findings,
    home,
    jobs,
    layouts,
    maps,
    operations,
    printing,
    provider_sign_in,
    reliability,
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
        printing,
        layouts,
        findings,
        files,
        jobs,
        operations,
        reliability,
        maps,
        administration,
    )
)
