// Says while the form is filled in which days it covers, what that comes to, and what is wrong with it.
"use strict";
(() => {
  const form = document.getElementById("query-form");
  const days = document.querySelector("#preview [data-days]");
  const estimate = document.querySelector("#preview [data-estimate]");
  const warning = document.querySelector("#preview [data-warning]");
  const PAUSE_MS = 250;
  let timer = 0;
  let requests = 0;

  // The state of the two chosen nodes stands at their fields, from the list above.
  const nodes = document.getElementById("nodes");
  const showChosen = () => {
    for (const place of form.querySelectorAll("[data-state-of]")) {
      const chosen = document.getElementById(place.dataset.stateOf).value;
      const row = nodes.querySelector(`[data-node="${CSS.escape(chosen)}"]`);
      const text = row ? row.querySelector(".node-state").textContent.trim().replace(/\s+/g, " ") : "";
      if (place.textContent !== text) place.textContent = text;
      place.className = `node-choice ${row ? row.className.replace(/^node /, "") : ""}`;
    }
  };
  new MutationObserver(showChosen).observe(nodes, { childList: true, subtree: true, characterData: true });
  form.addEventListener("change", showChosen);
  showChosen();

  const presets = form.querySelector("[data-presets]");
  presets.hidden = false;
  presets.addEventListener("click", (event) => {
    const button = event.target.closest("button");
    if (!button) return;
    document.getElementById("date_from").value = button.dataset.from;
    document.getElementById("date_until").value = button.dataset.until;
    form.dispatchEvent(new Event("input"));
  });
  const since = presets.querySelector("[data-since]");

  const show = (preview) => {
    since.dataset.from = preview.since;
    since.hidden = !preview.since;
    days.textContent = preview.days;
    estimate.textContent = preview.estimate;
    warning.textContent = preview.warning;
    warning.hidden = !preview.warning;
    for (const element of form.querySelectorAll("[data-error-of]")) {
      const name = element.dataset.errorOf;
      const input = document.getElementById(name);
      if (!input?.matches("input:not([type=checkbox]), textarea")) continue;
      const problem = preview.problems[name] || "";
      if (element.textContent.trim() === problem) continue;
      element.textContent = problem;
      element.classList.toggle("d-block", Boolean(problem));
      input.classList.toggle("is-invalid", Boolean(problem));
      const others = (input.getAttribute("aria-describedby") || "").split(" ").filter((id) => id && id !== element.id);
      if (problem) {
        input.setAttribute("aria-invalid", "true");
        others.push(element.id);
      } else {
        input.removeAttribute("aria-invalid");
      }
      if (others.length) input.setAttribute("aria-describedby", others.join(" "));
      else input.removeAttribute("aria-describedby");
    }
  };

  const requestPreview = async () => {
    const number = ++requests;
    const body = new FormData(form);
    body.delete("list_file");
    const response = await fetch(form.dataset.preview, {
      method: "POST", body, credentials: "same-origin",
    }).catch(() => null);
    if (response?.ok && !response.redirected && number === requests) show(await response.json());
  };

  // What is in a chosen file is shown before the form is sent; the file is only read, not kept.
  const report = document.getElementById("list-report");
  const requestReport = async (event) => {
    if (!event.target.matches("#list_file, #list_column")) return;
    const body = new FormData(form);
    // Another file may have other columns.
    if (event.target.id === "list_file") body.set("list_column", "");
    const response = await fetch(report.dataset.report, {
      method: "POST", body, credentials: "same-origin",
    }).catch(() => null);
    if (response?.ok && !response.redirected) report.innerHTML = await response.text();
  };
  form.addEventListener("change", requestReport);

  // An ended query is one more to judge the next by.
  document.addEventListener("doseqr:ended", requestPreview);
  form.addEventListener("input", () => {
    window.clearTimeout(timer);
    timer = window.setTimeout(requestPreview, PAUSE_MS);
  });
})();
