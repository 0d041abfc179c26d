"""Every page that a lead, a stranger or a participant can open, looked at by rule: it answers, says nothing
in the console, fits the window, has one heading and a label for each control, and works by keyboard.
"""

import time
import uuid
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from io import BytesIO
from typing import Any, Literal

import pytest
from axe_playwright_python.base import AXE_FILE_PATH
from playwright.sync_api import APIRequestContext, Page

from app.main import routes
from method.objectives import OBJECTIVES
from method.painter.painting import paint
from tests.browser.house import House
from tests.browser.watching import Window
from worker.training.tiny_model import make_tiny_sdxl

pytestmark = [
    pytest.mark.browser,
    pytest.mark.xdist_group("browser"),
    pytest.mark.timeout(600),
]

SLUG = "still-life"
PAINTINGS = 6
JOB_SECONDS = 180.0
# Pages of one thing that is not furnished here yet.
NOT_FURNISHED = {
    "show_webhook",
    "show_label_import",
    "show_reading",
    "show_read_sheet",
    "show_settle_sheet",
}
# What answers GET and is no page: files, pictures, streams, parts of pages; the welcome is looked at before it is used up.
NO_PAGES = {
    "healthz",
    "export_agreement",
    "show_image_count",
    "show_agent_run_state",
    "show_mergeable",
    "readyz",
    "show_welcome",
    "show_node_row",
    "show_branches",
    "export_criteria",
    "export_audit_results",
    "export_audit_table",
    "get_audit_example",
    "save_criteria_picture",
    "show_thumb",
    "show_display",
    "show_audit_population",
    "export_verdicts",
    "export_study_answers",
    "export_study_results",
    "export_study_table",
    "get_study_image",
    "get_study_practice_image",
    "get_practice_picture",
    "get_compared_image",
    "show_study_plan",
    "get_audit_image",
    "get_audit_tiles",
    "get_audit_tile",
    "stream_run",
    "show_run_sample",
    "show_pair_picture",
    "download_config",
    "download_adapter",
    "download_adapter_folder",
}
STRANGERS = {"show_sign_in", "show_invitation", "show_recovery"}
PARTICIPANTS = {
    "show_seat",
    "show_practice",
    "show_image_to_judge",
    "show_judging_end",
    "show_withdrawal",
    "show_study_seat",
    "show_study_practice",
    "show_pair_to_judge",
    "show_study_end",
    "show_study_withdrawal",
}
WIDTHS = (1280, 820, 390)

THEMES: tuple[Literal["light", "dark"], ...] = ("light", "dark")
AXE = AXE_FILE_PATH.read_text(encoding="utf-8")

FAULTS_OF_PAGE = """() => {
  const faults = [];
  // Two attributes that a template has run together, such as requiredmin="1".
  for (const each of document.querySelectorAll("input, select, textarea, details, option")) {
    for (const { name } of each.attributes) {
      if (/^(required|checked|selected|disabled|hidden|multiple|open).|["'<]/.test(name)) faults.push(`attribute ${name}`);
    }
  }
  const headings = document.querySelectorAll("h1");
  if (headings.length !== 1) faults.push(`${headings.length} h1`);
  if (document.title.startsWith(" ·")) faults.push("no title");
  const ids = [...document.querySelectorAll("[id]")].map((each) => each.id);
  const doubled = new Set(ids.filter((id, at) => ids.indexOf(id) !== at));
  for (const id of doubled) faults.push(`id ${id} twice`);
  for (const each of document.querySelectorAll("[for], [aria-labelledby], [aria-describedby], [aria-controls]")) {
    for (const name of ["for", "aria-labelledby", "aria-describedby", "aria-controls"]) {
      for (const id of (each.getAttribute(name) ?? "").split(" ").filter(Boolean)) {
        if (!document.getElementById(id)) faults.push(`${name} names ${id}, which is not there`);
      }
    }
  }
  const named = (each) =>
    each.ariaLabel || each.getAttribute("aria-labelledby") || [...(each.labels ?? [])].some((label) => label.textContent.trim());
  for (const each of document.querySelectorAll("input:not([type=hidden]), select, textarea")) {
    if (!each.hidden && !named(each)) faults.push(`no label: ${each.outerHTML.slice(0, 120)}`);
  }
  for (const each of document.querySelectorAll("button, a[href]")) {
    const picture = each.querySelector("img[alt]:not([alt=''])");
    if (!each.textContent.trim() && !each.ariaLabel && !picture) faults.push(`no name: ${each.outerHTML.slice(0, 120)}`);
  }
  // Text pressed into a strip: a rule for other lines has hit these.
  for (const each of document.querySelectorAll("main summary, main li, main td, main p, main dd")) {
    const words = each.innerText?.trim() ?? "";
    const { width, height } = each.getBoundingClientRect();
    if (words.length > 20 && height > 0 && width > 1 && width < 30) faults.push(`pressed into ${width} px: ${words.slice(0, 60)}`);
  }
  for (const each of document.querySelectorAll("img:not([alt])")) faults.push(`no alt: ${each.src}`);
  for (const each of document.images) {
    if (each.complete && each.currentSrc && !each.naturalWidth) faults.push(`no picture: ${each.src}`);
  }
  return faults;
}"""
OVERFLOW = """() => {
  const { scrollWidth, clientWidth } = document.documentElement;
  if (scrollWidth <= clientWidth) return "";
  const over = [...document.querySelectorAll("main *")].filter((each) => each.getBoundingClientRect().right > clientWidth + 1);
  const name = (each) => `${each.tagName}.${each.className} ${each.textContent.trim().slice(0, 30)}`;
  return `${scrollWidth} wide in a window of ${clientWidth}: ${over.slice(0, 6).map(name).join("; ")}`;
}"""
FOCUS = """() => {
  const at = document.activeElement;
  if (!at || at === document.body) return "Tab leads nowhere";
  const style = getComputedStyle(at);
  const box = at.getBoundingClientRect();
  if (!at.matches(":focus-visible")) return `not :focus-visible: ${at.outerHTML.slice(0, 90)}`;
  if (style.outlineStyle === "none" || parseFloat(style.outlineWidth) < 1) return `no focus ring: ${at.outerHTML.slice(0, 90)}`;
  if (box.width < 1 || box.height < 1 || box.right <= 0) return `focus out of sight: ${at.outerHTML.slice(0, 90)}`;
  return "";
}"""


@dataclass
class Api:
    """The project's API as the lead."""

    context: APIRequestContext
    headers: dict[str, str]

    def ask(self, method: str, path: str, **more: Any) -> Any:
        """One request."""
        root = "" if path.startswith("/api") else f"/api/v1/projects/{SLUG}/"
        answer = self.context.fetch(root + path, method=method, headers=self.headers, **more)
        assert answer.ok, f"{method} {path}: {answer.text()}"
        return answer.json() if answer.body() else None

    def finish(self, job_id: int) -> None:
        """Wait until a job has succeeded."""
        give_up = time.monotonic() + JOB_SECONDS
        while (state := self.ask("GET", f"jobs/{job_id}")["state"]) in ("queued", "running"):
            assert time.monotonic() < give_up, f"job {job_id} is {state}"
            time.sleep(0.2)
        assert state == "succeeded"


def found_project(lead: Window, house: House) -> Api:
    """Sign in with the one-time link, make a project with the painting criteria, and a token."""
    page = lead.page
    page.goto(house.link)
    page.get_by_role("button", name="Sign in").click()
    page.goto("/account")
    page.get_by_label("What is the new token for?").fill("every page")
    page.get_by_role("button", name="Make a token").click()
    token = page.locator("#new-token").inner_text().strip()
    page.goto("/")
    page.get_by_label("Name").fill("Still life")
    page.get_by_label("Address").fill(SLUG)
    page.get_by_role("button", name="Make project").click()
    page.goto(f"/projects/{SLUG}/criteria/import")
    page.get_by_role("button", name="Begin with these").click()
    page.goto(f"/projects/{SLUG}/criteria/publish")
    page.get_by_role("button", name="Publish version 1").click()
    page.wait_for_url("**/criteria**")
    return Api(lead.context.request, {"Authorization": f"Bearer {token}"})


def import_paintings(api: Api) -> int:
    """A ZIP with prompts and one broken file; returns the import."""
    body = BytesIO()
    lines = ["file,prompt"]
    with zipfile.ZipFile(body, "w") as archive:
        for seed in range(PAINTINGS):
            out = BytesIO()
            painting = paint(seed, 192)
            painting.image.save(out, "PNG")
            name = f"a-rather-long-name-of-a-picture-{seed}.png"
            archive.writestr(name, out.getvalue())
            lines.append(f'{name},"{painting.prompt}"')
        archive.writestr("torn.jpg", b"no picture")
        archive.writestr("metadata.csv", "\n".join(lines))
    files = {"name": "studio.zip", "mimeType": "application/zip", "buffer": body.getvalue()}
    started = api.ask("POST", "images/imports", multipart={"files": files})
    api.finish(started["job_id"])
    return int(started["id"])


def confirm_labels(api: Api) -> int:
    """Confirm what the agent says; returns an image."""
    images = api.ask("GET", "images")["items"]
    for image in images:
        labels = api.ask("GET", f"images/{image['id']}/labels")
        for each in labels["labels"]:
            api.ask(
                "PUT",
                f"images/{image['id']}/labels/{each['key']}/{each['polarity']}",
                data={
                    "state": "confirmed",
                    "based_on": labels["revision"],
                    "operation_id": str(uuid.uuid4()),
                },
            )
    return int(images[0]["id"])


def compare_paintings(api: Api) -> tuple[int, str, str]:
    """A study of paintings; returns it, and the tokens of who has agreed and who has not come yet."""
    body = BytesIO()
    with zipfile.ZipFile(body, "w") as archive:
        # Three prompts, of which two are drawn: the third one is there to practise on.
        for seed in range(6):
            out = BytesIO()
            paint(seed, 192).image.save(out, "PNG")
            archive.writestr(
                f"G1/a-model-with-a-long-name-{seed % 2}/{seed // 2}.png", out.getvalue()
            )
    files = {"name": "a.zip", "mimeType": "application/zip", "buffer": body.getvalue()}
    study = api.ask("POST", "studies", data={"name": "Spring study", "prompts": 2})
    sent = api.ask("POST", f"studies/{study['id']}/uploads", multipart={"files": files})
    api.finish(sent["job_id"])
    api.ask("POST", f"studies/{study['id']}/open", data={"prompts": 2})
    links = api.ask("POST", f"studies/{study['id']}/participants", data={"count": 2})
    seat, unread = (each["link"].rsplit("/", 1)[1] for each in links["items"])
    api.ask("POST", f"/api/v1/study/{seat}/consent")
    [first, *_] = api.ask("GET", f"/api/v1/study/{seat}/pairs")["items"]
    for each in first["questions"]:
        path = f"/api/v1/study/{seat}/pairs/1/{each['key']}"
        api.ask("PUT", path, data={"answer": "left"})
    return int(study["id"]), seat, unread


def furnish(api: Api) -> dict[str, Any]:
    """One of everything, through the API; returns the ids that addresses need."""
    import_id = import_paintings(api)
    agent = api.ask("POST", "agent-runs", data={"agent": "measured"})
    api.finish(agent["job_id"])
    image_id = confirm_labels(api)
    asked_together = {"agent": "ensemble", "runs": [agent["id"]]}
    together = api.ask("POST", "agent-runs", data=asked_together)
    api.finish(together["job_id"])
    compared = api.ask("POST", f"agent-runs/{agent['id']}/compare/{together['id']}")
    api.finish(compared["job_id"])
    dataset = api.ask("POST", "datasets", data={"name": "First harvest", "only_done": False})
    api.finish(dataset["job_id"])
    pairs = api.ask(
        "POST",
        "datasets/pairs/by-labels",
        data={"name": "First pairs", "dataset_id": dataset["id"], "with_unfinished": True},
    )
    api.finish(pairs["job_id"])
    options = {
        "optimization.max_steps": 4,
        "samples.every": 4,
        "samples.prompts": ["a jug beside three pears"],
    }
    run = api.ask(
        "POST",
        "runs",
        data={
            "kind": "sft",
            "name": "First expert",
            "dataset_id": dataset["id"],
            "base_model": "tiny-sdxl",
            "preset": "tiny",
            "options": options,
        },
    )
    asked = {"name": "Spring audit", "sample_size": 2, "min_labels": 2, "probe_percent": 100}
    audit, later = (api.ask("POST", "audits", data=asked | {"seed": 5}) for _ in range(2))
    links = api.ask("POST", f"audits/{audit['id']}/participants", data={"count": 2})
    seat, unread = (each["link"].rsplit("/", 1)[1] for each in links["items"])
    api.ask("POST", f"/api/v1/audit/{seat}/consent")
    study, comparing, not_yet = compare_paintings(api)
    proposal = api.ask(
        "POST",
        "criteria/proposals",
        data={
            "pair": {
                "parent": "edge-definition",
                "positive_name": "Soft rims",
                "negative_name": "Hard rims",
            },
            "reason": "Seen in many.",
        },
    )
    discussion = api.ask(
        "POST", "criteria/nodes/clear-edges/discussions", data={"text": "Does a soft rim count?"}
    )
    example = {"polarity": "positive", "image": image_id, "caption": "The rim of the jug"}
    api.ask("POST", "criteria/nodes/clear-edges/examples", data=example)
    kept = api.ask("POST", "filters", data={"name": "Done", "query": "show=done"})
    bulk = api.ask("POST", "bulk", data={"kind": "done", "images": [image_id]})
    invitation = api.ask("POST", "invitations", data={"role": "expert"})
    me = api.ask("GET", "people")["items"][0]["id"]
    recovery = api.ask("POST", f"people/{me}/password-link")
    api.finish(run["job_id"])
    return {
        "project": SLUG,
        "import_id": import_id,
        "image_id": image_id,
        "job_id": run["job_id"],
        "dataset_id": dataset["id"],
        "pair_dataset_id": pairs["id"],
        "audit_id": audit["id"],
        "other_id": {
            **dict.fromkeys(("show_comparison", "show_compared_images"), together["id"]),
            "": later["id"],
        },
        "proposal_id": proposal["id"],
        "filter_id": kept["id"],
        "action_id": bulk["id"],
        "discussion_id": discussion["id"],
        "key": "clear-edges",
        "number": 1,
        "position": 1,
        "study_id": study,
        "place": 1,
        "run_id": {
            **dict.fromkeys(
                (
                    *("show_agent_run", "show_run_images", "show_run_image", "show_again"),
                    *("show_comparison", "show_compared_images"),
                ),
                agent["id"],
            ),
            "show_differences": together["id"],
            "": run["id"],
        },
        "token": {
            "show_recovery": recovery["link"].rsplit("/", 1)[1],
            "show_invitation": invitation["link"].rsplit("/", 1)[1],
            "show_seat": unread,
            "show_study_seat": not_yet,
            **dict.fromkeys(
                (
                    *("show_study_practice", "show_pair_to_judge"),
                    *("show_study_end", "show_study_withdrawal"),
                ),
                comparing,
            ),
            "": seat,
        },
    }


def addresses(ids: dict[str, Any]) -> dict[str, str]:
    """The address of every page, by the name of its route."""
    found = {}
    for route in routes():
        if (
            "GET" not in (route.methods or ())
            or route.path.startswith("/api/")
            or route.name in NO_PAGES | NOT_FURNISHED
        ):
            continue
        values = {
            name: value.get(route.name, value.get("")) if isinstance(value, dict) else value
            for name, value in ids.items()
            if name in route.param_convertors
        }
        found[route.name] = str(route.url_path_for(route.name, **values))
    return found


def inspect(window: Window, name: str, address: str) -> list[str]:
    """What is wrong with a page."""
    page = window.page
    page.set_viewport_size({"width": WIDTHS[0], "height": 720})
    answer = page.goto(address, wait_until="load")
    if answer is None or answer.status != 200 or "html" not in answer.headers["content-type"]:
        return [f"answers {answer and answer.status}"]
    faults = [*page.evaluate(FAULTS_OF_PAGE), *try_keys(page)]
    for theme in THEMES:
        page.emulate_media(color_scheme=theme)
        faults += [f"{theme}: {each}" for each in find_barriers(page)]
    for width in WIDTHS:
        page.set_viewport_size({"width": width, "height": 720})
        faults.append(page.evaluate(OVERFLOW))
        window.look(f"{name}-{width}")
    return [each for each in faults if each]


def find_barriers(page: Page) -> list[str]:
    """What axe finds that keeps people out, and where. A clean page is no proof that nothing does."""
    page.evaluate(AXE)
    found = page.evaluate("axe.run({resultTypes: ['violations']})")
    return [
        f"{each['impact']} {each['id']}: {node['target']} {node['html'][:90]}"
        for each in found["violations"]
        if each["impact"] in ("serious", "critical")
        for node in each["nodes"][:4]
    ]


def try_keys(page: Page) -> list[str]:
    """Tab shows where one is, and ? opens and closes the key help."""
    faults = []
    for _ in range(2):
        page.keyboard.press("Tab")
        faults.append(page.evaluate(FOCUS))
    page.evaluate("document.activeElement?.blur()")
    for wanted in (True, False):
        page.keyboard.press("?")
        is_open = page.evaluate("document.getElementById('keys').open")
        faults.append("" if is_open == wanted else f"after ? the key help is open: {is_open}")
    return faults


def test_every_page(house: House, open_one: Callable[[], Window]) -> None:
    make_tiny_sdxl(house.home / "models" / "tiny-sdxl", 0, fit=False)
    lead, stranger = open_one(), open_one()
    faults = {"show_welcome": inspect(stranger, "show_welcome", house.link)}
    pages = addresses(furnish(found_project(lead, house)))
    # Each kind of run has a form of its own.
    pages |= {f"show_launch-{kind}": f"{pages['show_launch']}?kind={kind}" for kind in OBJECTIVES}
    # A proposal is about a node.
    pages["show_new_proposal"] += "?node=edge-definition"
    faults |= {
        f"{name} {address}": inspect(
            stranger if name in STRANGERS | PARTICIPANTS else lead, name, address
        )
        for name, address in pages.items()
    }
    lead.expect_status(r"^404 GET .*/projects/nowhere")
    lead.page.goto("/projects/nowhere")
    faults["404"] = [*lead.page.evaluate(FAULTS_OF_PAGE), *filter(None, try_keys(lead.page))]
    if told := "\n".join(f"{name}: {each}" for name, found in faults.items() for each in found):
        pytest.fail(told, pytrace=False)
