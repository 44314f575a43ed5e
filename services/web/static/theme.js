// Runs before the page is painted: light or dark as its reader chose, otherwise as the system prefers.
"use strict";
(() => {
  const KEY = "doseqr-theme";
  const dark = window.matchMedia("(prefers-color-scheme: dark)");
  const chosen = () => {
    try {
      return localStorage.getItem(KEY) || "auto";
    } catch {
      return "auto";  // a browser that keeps nothing
    }
  };
  const apply = () => {
    const theme = chosen();
    document.documentElement.dataset.bsTheme = theme === "auto" ? (dark.matches ? "dark" : "light") : theme;
    for (const button of document.querySelectorAll("button[data-theme]")) {
      button.setAttribute("aria-pressed", String(button.dataset.theme === theme));
    }
  };
  // The language is chosen by a cookie, since the server writes the texts.
  document.addEventListener("click", (event) => {
    const button = event.target.closest("button[data-language]");
    if (!button) return;
    const secure = window.location.protocol === "https:" ? "; secure" : "";
    document.cookie = `doseqr_language=${button.dataset.language}; path=/; max-age=31536000; samesite=lax${secure}`;
    window.location.reload();
  });
  document.documentElement.classList.add("js");
  dark.addEventListener("change", apply);
  window.addEventListener("storage", apply);
  document.addEventListener("DOMContentLoaded", apply);
  document.addEventListener("click", (event) => {
    const button = event.target.closest("button[data-theme]");
    if (!button) return;
    try {
      localStorage.setItem(KEY, button.dataset.theme);
    } catch {
      return;
    }
    apply();
  });
  apply();
})();
