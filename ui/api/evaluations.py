"""Evaluation runs for evaluators: listed, looked at, compared, held against bars."""

from __future__ import annotations

from typing import Annotated, Any, Final

from fastapi import APIRouter, Query, Request
from fastapi import Path as InPath
from pydantic import BaseModel, ConfigDict, Field

from assistant.bootstrap import Quoth
from evals.answers_report import FINE, facts_json, run_json
from evals.answers_run import AnswersRun, load_run
from evals.case_record import report_json
from evals.case_words import words_of_case
from evals.comparing import compare, comparison_json
from evals.gating import SAMPLE_BARS, bars_from, gate, gate_json, read_bars
from evals.run_jobs import RunJob, RunJobs
from evals.run_store import KeptRun, Runs
from ui.api.identity import Evaluating
from ui.api.problems import REFUSALS, answered

router = APIRouter(prefix="/api/evaluations", responses=REFUSALS, tags=["evaluations"])
Named = Annotated[
    str, InPath(min_length=1, max_length=40, description="a run's id, the start of one, or `latest`",
                examples=["latest"])
]  # fmt: skip
RUN: Final = {"run": "3f2a90c1d4e5", "cases": 60, "done": 60, "cases_name": "cases.jsonl", "seed": 1}
MEASURES: Final = {"citation_precision": {"value": 0.97, "n": 52, "interval": [0.92, 1.0]}}
JOB: Final = {"job": "8c1d5e0a", "file": "conversations", "version": 3, "state": "running", "done": 12, "total": 60}
JobId = Annotated[str, InPath(min_length=4, max_length=40, pattern="^[0-9a-zA-Z-]+$")]
MOST_BARS: Final = 200


class GateRequest(BaseModel):
    model_config = ConfigDict(extra="forbid")
    bars: dict[str, Any] | None = Field(
        None,
        max_length=MOST_BARS,
        description="as in the file that `quoth eval gate --bars` takes; absent: those of the sample cases",
        examples=[{"gold_citation_recall": {"min": 0.85}, "abstention_fpr": {"max": 0.1}}],
    )
    baseline: str | None = Field(None, max_length=40, description="a former run that this one may not be worse than")


class RunRequest(BaseModel):
    model_config = ConfigDict(extra="forbid")
    file: str = Field(min_length=1, max_length=200, description="a file of kept cases", examples=["conversations"])
    version: int | None = Field(None, ge=1, le=1_000_000_000, description="the latest when absent")
    collection: str | None = Field(None, max_length=60)
    workers: int = Field(1, ge=1, le=16, description="cases at a time")
    most_usd: float | None = Field(None, gt=0, le=1_000_000, description="no case is begun once so much was spent")


@router.get("", summary="Evaluation runs, the latest first",
            responses=answered({"runs": [RUN], "total": 1, "next_offset": None}))  # fmt: skip
def runs(
    request: Request,
    caller: Evaluating,
    limit: Annotated[int, Query(ge=1, le=200)] = 50,
    offset: Annotated[int, Query(ge=0, le=1_000_000)] = 0,
) -> dict[str, Any]:
    found = Runs(_quoth(request).database).list()
    following = offset + limit
    return {
        "runs": [_line(one) for one in found[offset:following]],
        "total": len(found),
        "next_offset": following if following < len(found) else None,
    }


@router.post("", summary="Hand a run to the worker, over a file of kept cases", status_code=202)
def start(request: Request, wanted: RunRequest, caller: Evaluating) -> dict[str, Any]:
    jobs = RunJobs(_quoth(request))
    job = jobs.submit(
        wanted.file, wanted.version, by=caller.reader, collection=wanted.collection, workers=wanted.workers,
        most_usd=wanted.most_usd,
    )  # fmt: skip
    return {**_job(job), "worker_alive": jobs.worker_alive()}


@router.get("/jobs", summary="Runs that were handed to the worker: those under way first, then the latest",
            responses=answered({"jobs": [JOB]}))  # fmt: skip
def jobs(request: Request, caller: Evaluating) -> dict[str, Any]:
    return {"jobs": [_job(one) for one in RunJobs(_quoth(request)).list()]}


@router.get("/jobs/{job}", summary="How far a run is", responses=answered(JOB))
def job(request: Request, job: JobId, caller: Evaluating) -> dict[str, Any]:
    return _job(RunJobs(_quoth(request)).find(job))


@router.delete("/jobs/{job}", summary="End a run; what is done of it is kept", responses=answered(JOB))
def cancel(request: Request, job: JobId, caller: Evaluating) -> dict[str, Any]:
    kept = RunJobs(_quoth(request))
    kept.cancel(kept.find(job).id, by=caller.reader)
    return _job(kept.find(job))


@router.get("/{run}", summary="One run with its measures", responses=answered({**RUN, "measures": MEASURES}))
def run(request: Request, run: Named, caller: Evaluating) -> dict[str, Any]:
    return run_json(_loaded(request, run))


@router.get("/{run}/cases", summary="A run's cases, with the words that you may read",
            responses=answered({"run": RUN["run"], "cases": [{"id": "leave-1", "class": "used"}], "total": 60,
                                "next_offset": None}))  # fmt: skip
def cases(
    request: Request,
    run: Named,
    caller: Evaluating,
    failed: Annotated[bool, Query(description="only those in which something went wrong")] = False,
    limit: Annotated[int, Query(ge=1, le=200)] = 50,
    offset: Annotated[int, Query(ge=0, le=1_000_000)] = 0,
) -> dict[str, Any]:
    quoth = _quoth(request)
    found = _loaded(request, run)
    wanted = [one for one in found.records if not failed or one.failure_class not in FINE]
    following = offset + limit
    return {
        "run": found.id,
        "cases": [
            report_json(one, None, words_of_case(quoth.database, caller.reader, one))
            for one in wanted[offset:following]
        ],
        "total": len(wanted),
        "next_offset": following if following < len(wanted) else None,
    }


@router.get("/{run}/comparison", summary="A run beside a former one, case by case",
            responses=answered({"before": "91bc02ff8a01", "after": RUN["run"], "cases": 60}))  # fmt: skip
def comparison(
    request: Request,
    run: Named,
    caller: Evaluating,
    before: Annotated[str, Query(min_length=1, max_length=40, description="the former run", examples=["latest"])],
) -> dict[str, Any]:
    return comparison_json(compare(_loaded(request, before), _loaded(request, run)))


@router.post("/{run}/gate", summary="Whether a run clears its bars",
             responses=answered({"run": RUN["run"], "met": True, "checks": []}))  # fmt: skip
def gated(request: Request, run: Named, wanted: GateRequest, caller: Evaluating) -> dict[str, Any]:
    bars = read_bars(SAMPLE_BARS) if wanted.bars is None else bars_from(wanted.bars, "bars")
    baseline = _loaded(request, wanted.baseline) if wanted.baseline else None
    return gate_json(gate(_loaded(request, run), bars, baseline))


def _line(kept: KeptRun) -> dict[str, Any]:
    return {"run": kept.id, "cases": kept.facts.cases, "done": kept.done, **facts_json(kept)}


def _job(one: RunJob) -> dict[str, Any]:
    return {
        "job": one.id, "file": one.file, "version": one.version, "collection": one.collection, "state": one.state,
        "run": one.run, "done": one.done, "total": one.total, "left_s": one.left_s, "cost_usd": one.cost_usd,
        "detail": one.detail, "by": one.asked_by.name, "queued_at": one.queued_at.isoformat(),
    }  # fmt: skip


def _loaded(request: Request, name: str) -> AnswersRun:
    return load_run(Runs(_quoth(request).database), name)


def _quoth(request: Request) -> Quoth:
    quoth: Quoth = request.app.state.quoth()
    return quoth
