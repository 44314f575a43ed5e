// Keeps panels up to date. An event names what has changed; its state is fetched as HTML from the server, which
// reads it from the database. If events are lost or cannot come, panels poll.
"use strict";
(() => {
  const MIN_GAP_MS = 400;          // between two polls of one panel, however many events come
  const ANNOUNCE_GAP_MS = 10000;   // between two announcements of progress to a screen reader
  const RETRY_STREAM_MS = 30000;   // until a stream that the server refused is tried again
  const panels = [];
  let stream = null;
  let streamIds = "";
  let retryStreamAt = 0;
  let announcedAt = 0;
  let announced = "";

  class Panel {
    constructor(element) {
      this.element = element;
      this.url = element.dataset.live;
      this.follow = element.dataset.follow || "";
      this.html = null;
      this.polledAt = performance.now();
      this.wanted = false;
      this.busy = false;
      this.gone = false;
      this.read();
    }

    get part() {
      return this.element.querySelector("[data-part]");
    }

    read() {
      const part = this.part;
      this.everyMs = part?.dataset.every ? Number(part.dataset.every) * 1000 : Infinity;
      if (part?.dataset.follow !== undefined) this.follow = part.dataset.follow;
      if (part?.dataset.title) document.title = part.dataset.title;
      const ended = part?.hasAttribute("data-ended") ?? false;
      if (ended && this.ended === false) document.dispatchEvent(new Event("doseqr:ended"));
      if (ended && this.ended === false && this.element.dataset.then) loadOnce(this.element.dataset.then);
      this.ended = ended;
      if (part?.dataset.announce && this.html !== null) announce(part.dataset.announce, ended);
    }

    due(now) {
      if (this.busy || this.gone) return false;
      const since = now - this.polledAt;
      return since >= MIN_GAP_MS && (this.wanted || since >= this.everyMs);
    }

    async poll() {
      this.busy = true;
      this.wanted = false;
      this.polledAt = performance.now();
      const response = await fetch(this.url, { credentials: "same-origin" }).catch(() => null);
      if (response?.ok && !response.redirected) {
        this.show(await response.text());
        offline(false);
      } else if (response && [401, 403, 404].includes(response.status)) {
        this.gone = true;
        notice(document.body.dataset.sessionEnded);
      } else {
        offline(true);
      }
      this.busy = false;
    }

    show(html) {
      if (html !== this.html) {
        this.html = html;
        window.doseqr.morph(this.element, html);
      }
      this.read();
    }
  }

  // Text for screen readers: the end at once, progress now and then.
  const announce = (text, atOnce) => {
    const now = performance.now();
    if (text === announced || (!atOnce && now - announcedAt < ANNOUNCE_GAP_MS)) return;
    announced = text;
    announcedAt = now;
    document.getElementById("announcer").textContent = text;
  };

  const notice = (text) => {
    let element = document.getElementById("live-notice");
    if (!text) {
      element?.remove();
      return;
    }
    if (!element) {
      element = document.createElement("p");
      element.id = "live-notice";
      element.className = "alert alert-warning";
      element.setAttribute("role", "alert");
      document.getElementById("content").prepend(element);
    }
    if (element.textContent !== text) element.textContent = text;
  };

  let isOffline = false;
  const offline = (now) => {
    if (now !== isOffline) notice(now ? document.body.dataset.offline : "");
    isOffline = now;
  };

  const loadOnce = async (selector) => {
    const element = document.querySelector(selector);
    if (!element?.dataset.load) return;
    const response = await fetch(element.dataset.load, { credentials: "same-origin" }).catch(() => null);
    if (response?.ok && !response.redirected) {
      element.innerHTML = await response.text();
      window.doseqr.localise(element);
    }
  };

  const wantedIds = () => {
    const live = panels.filter((panel) => !panel.gone && panel.everyMs !== Infinity);
    return [...new Set(live.flatMap((panel) => panel.follow.split(" ")).filter(Boolean))].sort().join(" ");
  };

  const closeStream = () => {
    stream?.close();
    stream = null;
    streamIds = "";
  };

  // One stream for the page; a hidden page holds none.
  const keepStream = (now) => {
    const ids = document.hidden ? "" : wantedIds();
    if (ids === streamIds || (ids && now < retryStreamAt)) return;
    closeStream();
    if (!ids) return;
    streamIds = ids;
    stream = new EventSource("/live?" + ids.split(" ").map((id) => "follow=" + encodeURIComponent(id)).join("&"));
    stream.addEventListener("changed", (event) => {
      for (const panel of panels) {
        if (panel.follow.split(" ").includes(event.data)) panel.wanted = true;
      }
      tick();
    });
    // What happened while no stream was open is found by a poll.
    stream.addEventListener("open", () => { for (const panel of panels) panel.wanted ||= panel.everyMs !== Infinity; });
    stream.addEventListener("error", () => {
      if (stream?.readyState === EventSource.CLOSED) {
        closeStream();
        retryStreamAt = performance.now() + RETRY_STREAM_MS;
      }
    });
  };

  const tick = () => {
    const now = performance.now();
    keepStream(now);
    if (document.hidden) return;
    for (const panel of panels) if (panel.due(now)) panel.poll();
  };

  // The nodes are tested by the page itself when it opens.
  const begin = async (element) => {
    const body = new URLSearchParams({ echo: element.dataset.beginEcho });
    const token = document.querySelector("meta[name=csrf-token]").content;
    const headers = { "X-CSRFToken": token, "X-DoseQR": "script" };
    await fetch(element.dataset.begin, { method: "POST", body, headers, credentials: "same-origin" }).catch(() => null);
    for (const panel of panels) if (panel.element === element) panel.wanted = true;
  };

  for (const element of document.querySelectorAll("[data-live]")) panels.push(new Panel(element));
  for (const element of document.querySelectorAll("[data-begin]")) begin(element);
  document.addEventListener("visibilitychange", tick);
  window.addEventListener("pagehide", closeStream);
  window.setInterval(tick, 200);
  tick();
})();
