"""The Celery application: one task that takes a job's id. What it settles is latency, never correctness."""

import celery

RUN_JOB = "faultlight.run_job"
VISIBILITY_TIMEOUT_S = 3600


def queue_name(queue: str) -> str:
    """Return the broker's name of a class of work."""
    return f"faultlight.{queue}"


def make_app(broker_url: str) -> celery.Celery:
    """Return the application on ``broker_url``; only ids travel through it, as JSON."""
    app = celery.Celery("faultlight", broker=broker_url, set_as_current=False)
    app.conf.update(
        task_serializer="json",
        accept_content=["json"],
        task_ignore_result=True,
        task_acks_late=True,
        task_reject_on_worker_lost=False,
        worker_prefetch_multiplier=1,
        worker_hijack_root_logger=False,
        worker_enable_remote_control=False,
        worker_send_task_events=False,
        worker_cancel_long_running_tasks_on_connection_loss=False,
        broker_connection_retry=True,
        broker_connection_retry_on_startup=True,
        broker_connection_max_retries=None,
        broker_connection_timeout=2,
        broker_transport_options={
            "visibility_timeout": VISIBILITY_TIMEOUT_S,
            "socket_timeout": 5,
            "socket_connect_timeout": 1,
            "retry_on_timeout": False,
            "health_check_interval": 10,
            "priority_steps": list(range(10)),
            "queue_order_strategy": "priority",
        },
    )
    return app
