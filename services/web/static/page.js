// Small conveniences of every page; without them everything still works.
"use strict";
(() => {
  const texts = document.body.dataset;
  // English as the reader's browser writes it, other languages as the page does.
  const language = document.documentElement.lang === "en" ? undefined : document.documentElement.lang;
  const fill = (text, value) => text.replace("{}", value);
  const localTime = new Intl.DateTimeFormat(language, { dateStyle: "medium", timeStyle: "short" });

  // Times are served in UTC and shown in the time zone of the reader; a time of day alone stays one.
  const timeOfDay = new Intl.DateTimeFormat(language, { timeStyle: "short" });
  const ago = (moment) => {
    const seconds = (Date.now() - moment.getTime()) / 1000;
    const [past, away] = [seconds >= 0, Math.abs(seconds)];
    if (away < 60) return texts.justNow;
    const days = Math.floor(away / 86400);
    const text = away < 3600 ? fill(texts.min, Math.floor(away / 60)) : away < 86400 ? fill(texts.h, Math.floor(away / 3600))
      : fill(days > 1 ? texts.days : texts.day, days);
    return fill(past ? texts.ago : texts.in, text);
  };
  const keepAge = (root) => {
    for (const element of root.querySelectorAll("time[data-ago]")) {
      const moment = new Date(element.dateTime);
      if (Number.isNaN(moment.getTime())) continue;
      const [text, title] = [ago(moment), localTime.format(moment)];
      if (element.textContent !== text) element.textContent = text;
      if (element.title !== title) element.title = title;
    }
  };
  const localise = (root) => {
    keepAge(root);
    for (const element of root.querySelectorAll("time[data-local]")) {
      const moment = new Date(element.dateTime);
      if (!Number.isNaN(moment.getTime())) {
        element.title = element.textContent;
        element.textContent = (element.dataset.local === "time" ? timeOfDay : localTime).format(moment);
        element.removeAttribute("data-local");
      }
    }
  };

  // Studies are explained when they are opened.
  const explain = async (details) => {
    const target = details.querySelector(".study-why");
    if (!details.open || !details.dataset.src || !target) return;
    const source = details.dataset.src;
    delete details.dataset.src;
    const response = await fetch(source, { credentials: "same-origin" }).catch(() => null);
    if (response?.ok && !response.redirected) {
      target.innerHTML = await response.text();
      localise(target);
    } else {
      details.dataset.src = source;
    }
  };
  document.addEventListener("toggle", (event) => {
    if (event.target instanceof HTMLDetailsElement && event.target.classList.contains("study")) explain(event.target);
  }, true);

  // Menus close when the focus leaves them, and with Escape.
  document.addEventListener("click", (event) => {
    for (const menu of document.querySelectorAll("details.menu[open]")) {
      if (!menu.contains(event.target)) menu.open = false;
    }
  });
  document.addEventListener("keydown", (event) => {
    const menu = event.key === "Escape" ? document.querySelector("details.menu[open]") : null;
    if (menu) {
      menu.open = false;
      menu.querySelector("summary").focus();
    }
  });
  document.addEventListener("focusin", (event) => {
    for (const menu of document.querySelectorAll("details.menu[open]")) {
      if (!menu.contains(event.target)) menu.open = false;
    }
  });

  // A second click on a button that is at work must not send twice; coming back with "back" frees it.
  document.addEventListener("submit", (event) => {
    if (event.target.dataset.sent) {
      event.preventDefault();
      return;
    }
    event.target.dataset.sent = "yes";
    event.submitter?.setAttribute("aria-disabled", "true");
  });
  window.addEventListener("pageshow", () => {
    for (const form of document.querySelectorAll("form[data-sent]")) {
      delete form.dataset.sent;
      for (const button of form.querySelectorAll("[aria-disabled]")) button.removeAttribute("aria-disabled");
    }
  });

  // Without TLS browsers have no clipboard but that of a selection.
  const copy = async (text) => {
    if (navigator.clipboard) return navigator.clipboard.writeText(text).then(() => true, () => false);
    const field = document.createElement("textarea");
    field.value = text;
    field.className = "visually-hidden";
    document.body.append(field);
    field.select();
    const done = document.execCommand("copy");
    field.remove();
    return done;
  };

  // Copies a UID or a command; the sign says for a moment that it is done.
  document.addEventListener("click", async (event) => {
    const button = event.target.closest("button[data-copy]");
    if (!button) return;
    const done = await copy(button.dataset.copy);
    const sign = button.querySelector("[aria-hidden]");
    const before = sign.textContent;
    sign.textContent = done ? "✓" : "✕";
    document.getElementById("announcer").textContent = done ? texts.copied : texts.notCopied;
    window.setTimeout(() => { sign.textContent = before; }, 1500);
  });

  // Fragments that are fetched hold no token: it would differ in each of them.
  const token = () => document.querySelector("meta[name=csrf-token]").content;
  document.addEventListener("submit", (event) => {
    const field = event.target.querySelector("input[name=csrf_token]");
    if (field) field.value = token();
  }, true);

  localise(document);
  window.setInterval(() => keepAge(document), 20000);
  document.querySelector("[data-focus]")?.focus();
  window.doseqr = { localise };
})();
