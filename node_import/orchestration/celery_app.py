"""What Celery's workers run: `dagster-celery worker start -A node_import.orchestration.celery_app`.

Like `node_import.definitions` an entry point, which reads the settings when it is imported. It
imports nothing that starts threads before a worker forks, as polars does; steps load the job in the
forks.
"""

from __future__ import annotations

from dagster_celery.tasks import create_task

from node_import.orchestration.celery_executor import application
from node_import.settings import settings_of_this_process

app = application(settings_of_this_process())
execute_plan = create_task(app)
