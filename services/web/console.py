"""Every router of the console; the application includes them beside the API's."""

from services.web.pages import (
    account,
    administration,
    assets,
    cases,
    files,
    findings,
    forecasts,
    home,
    jobs,
    layouts,
    maps,
    models,
    operations,
    printing,
    provider_sign_in,
    reliability,
    report_schedules,
    reports,
    session_maps,
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
        session_maps,
        sessions,
        waveforms,
        printing,
        layouts,
        findings,
        files,
        jobs,
        operations,
        reliability,
        forecasts,
        reports,
        report_schedules,
        models,
        maps,
        administration,
    )
)
