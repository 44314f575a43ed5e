// Shows on every page what is wrong with the installation, and takes it away once it is mended.
"use strict";
(() => {
  const EVERY_MS = 3000;
  const banner = document.getElementById("banner");
  if (!banner) return;
  let html = banner.innerHTML.trim();
  let busy = false;

  const show = (next) => {
    if (next === html) return;
    html = next;
    banner.innerHTML = next;
  };
  const away = () => {
    const item = document.createElement("ul");
    item.className = "alert alert-warning complaints";
    item.append(document.createElement("li"));
    item.firstChild.textContent = banner.dataset.away;
    show(item.outerHTML);
  };
  const poll = async () => {
    if (busy || document.hidden) return;
    busy = true;
    const response = await fetch(banner.dataset.banner, { credentials: "same-origin" }).catch(() => null);
    if (response?.ok && !response.redirected) show((await response.text()).trim());
    else if (response?.status === 503) away();
    busy = false;
  };
  document.addEventListener("visibilitychange", poll);
  window.setInterval(poll, EVERY_MS);
  poll();
})();
