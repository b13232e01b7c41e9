function (name) {
  "use strict";
  // What every interactive piece shares: its element, its data, messages, controls, and the colours of the page.
  const root = document.getElementById(name);
  const data = JSON.parse(root.querySelector("script[type='application/json']").textContent);
  const find = (part) => root.querySelector("[data-part='" + part + "']");
  const stage = root.querySelector(".companion-stage"), message = root.querySelector(".companion-message");

  function say(text) {  // one sentence in place of a broken page
    message.textContent = text;
    message.hidden = !text;
  }
  function able(needed) {  // whether the browser has what is needed; says what is missing
    const have = { "a canvas": () => !!(window.HTMLCanvasElement && document.createElement("canvas").getContext("2d")),
      "DecompressionStream": () => typeof DecompressionStream === "function" };
    const missing = needed.filter((what) => { try { return !have[what](); } catch (error) { return true; } });
    if (missing.length) say("This browser lacks " + missing.join(" and ") + ", so nothing can be moved here; the picture on this page shows the same data.");
    return !missing.length;
  }
  function colour(variable) { return getComputedStyle(root).getPropertyValue("--" + variable).trim() || "#808080"; }
  function onTheme(act) {  // light or dark, by the button of the page or by the system
    new MutationObserver(act).observe(document.documentElement, { attributes: true, attributeFilter: ["data-theme"] });
    if (window.matchMedia) window.matchMedia("(prefers-color-scheme: dark)").addEventListener("change", act);
  }
  function onResize(canvas, act) {
    if (window.ResizeObserver) new ResizeObserver(act).observe(canvas);
    else window.addEventListener("resize", act);
  }
  function slider(input, words, act) {  // a native slider that is read out in words
    const output = input.parentElement.querySelector("output");
    const say = () => { output.textContent = words(+input.value); input.setAttribute("aria-valuetext", words(+input.value)); };
    input.addEventListener("input", () => { act(+input.value); say(); });
    input.value = input.getAttribute("value");  // browsers keep the old place over a reload
    say();
    return say;
  }
  function button(text, into, act, pressed) {
    const made = document.createElement("button");
    made.type = "button";
    made.textContent = text;
    const mark = () => pressed && made.setAttribute("aria-pressed", String(pressed()));
    made.addEventListener("click", () => { act(); root.dispatchEvent(new Event("companion")); });
    root.addEventListener("companion", mark);
    mark();
    into.append(made);
    return made;
  }
  function keys(element, actions) {  // plain keys only: what the browser does with Ctrl, Alt and Meta stays
    element.addEventListener("keydown", (event) => {
      const act = actions[event.key];
      if (!act || event.ctrlKey || event.metaKey || event.altKey) return;
      event.preventDefault();
      act(event.shiftKey ? 5 : 1);
    });
  }
  function fine(canvas) {  // a pen in CSS pixels on a canvas as fine as the screen
    const width = canvas.clientWidth, height = canvas.clientHeight, dense = window.devicePixelRatio || 1;
    const across = Math.round(width * dense), down = Math.round(height * dense);
    if (canvas.width !== across) canvas.width = across;
    if (canvas.height !== down) canvas.height = down;
    const pen = canvas.getContext("2d");
    pen.setTransform(dense, 0, 0, dense, 0, 0);
    return { pen: pen, width: width, height: height };
  }
  const bytes = (text) => Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
  const minus = (text) => String(text).replace("-", "−");
  const fixed = (value, digits) => minus(Math.abs(value) < 0.5 * 10 ** -digits ? (0).toFixed(digits) : value.toFixed(digits));
  const show = () => { stage.hidden = false; };  // nothing empty is shown where scripts are off
  return { root, data, find, say, able, colour, onTheme, onResize, slider, button, keys, fine, bytes, minus, fixed, show };
}
