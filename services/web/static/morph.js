// Changes a part of the page into newly fetched HTML without replacing what stays: ticks, values, open details,
// the focus and selected text belong to whoever reads the page, not to the server.
"use strict";
(() => {
  // What a script of the page or its reader has set; the server knows nothing of it.
  const KEPT = new Set(["data-sent", "aria-disabled", "data-local"]);
  const isField = (element) => element.matches("input, select, textarea");
  const keeps = (element, name) => KEPT.has(name)
    || (element.matches("details") && name === "open")
    || (isField(element) && (name === "value" || name === "checked"));

  const alike = (old, fresh) => old.nodeType === fresh.nodeType
    && (old.nodeType !== Node.ELEMENT_NODE || (old.tagName === fresh.tagName && old.id === fresh.id));

  const morphAttributes = (old, fresh) => {
    for (const { name, value } of fresh.attributes) {
      if (!keeps(old, name) && old.getAttribute(name) !== value) old.setAttribute(name, value);
    }
    for (const { name } of [...old.attributes]) {
      if (!keeps(old, name) && !fresh.hasAttribute(name)) old.removeAttribute(name);
    }
  };

  // A bar never goes back while its page is open, whatever estimate moves behind it.
  const holdBar = (old, fresh) => {
    if (!old.matches("progress[data-monotone]") || old.dataset.monotone !== fresh.dataset.monotone) return;
    const part = (bar) => Number(bar.getAttribute("value")) / (Number(bar.getAttribute("max")) || 1);
    if (part(fresh) < part(old)) fresh.setAttribute("value", part(old) * (Number(fresh.getAttribute("max")) || 1));
  };

  const morphNode = (old, fresh) => {
    if (old.nodeType !== Node.ELEMENT_NODE) {
      if (old.nodeValue !== fresh.nodeValue) old.nodeValue = fresh.nodeValue;
      return;
    }
    if (old.isEqualNode(fresh) || old.dataset.keep !== undefined) return;
    holdBar(old, fresh);
    morphAttributes(old, fresh);
    morphChildren(old, fresh);
  };

  const morphChildren = (parent, fresh) => {
    let old = parent.firstChild;
    for (const wanted of [...fresh.childNodes]) {
      let found = old;
      if (wanted.id) {
        // An element with an id is found wherever it has moved to.
        found = [...parent.children].find((child) => alike(child, wanted)) || null;
      } else {
        while (found && (found.id || !alike(found, wanted))) found = found.id ? null : found.nextSibling;
      }
      if (!found) {
        parent.insertBefore(wanted.cloneNode(true), old);
        continue;
      }
      while (old && old !== found && !wanted.id) old = remove(old);
      if (found !== old) parent.insertBefore(found, old);
      else old = old.nextSibling;
      morphNode(found, wanted);
    }
    while (old) old = remove(old);
  };

  const remove = (node) => {
    const next = node.nextSibling;
    node.remove();
    return next;
  };

  window.doseqr.morph = (element, html) => {
    const template = document.createElement("template");
    template.innerHTML = html;
    window.doseqr.localise(template.content);
    morphChildren(element, template.content);
  };
})();
