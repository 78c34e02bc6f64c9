"""``python -m trainer``: the trainer's process."""

from process.running import run_process
from schemas.settings import TrainerSettings
from trainer.service.service import serve

if __name__ == "__main__":
    run_process("trainer", TrainerSettings, serve)
