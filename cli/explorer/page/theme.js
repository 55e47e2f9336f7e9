/** Light or dark colours, or those of the system; the choice is stored in this browser. */

const KEY = "infogan-theme";
const THEMES = [
  { name: "system", symbol: "◐", label: "Colours: as the system" },
  { name: "light", symbol: "☀", label: "Colours: light" },
  { name: "dark", symbol: "☾", label: "Colours: dark" },
];
const button = document.getElementById("theme");

/** Use the browser's storage, which may be switched off.
 * @template T @param {() => T} use */
function stored(use) {
  try {
    return use();
  } catch {
    return null;
  }
}

/** @param {number} index */
function apply(index) {
  const { name, symbol, label } = THEMES[index];
  document.documentElement.dataset.theme = name;
  if (button) Object.assign(button, { textContent: symbol, ariaLabel: label, title: label });
}

let current = Math.max(0, THEMES.findIndex(({ name }) => name === stored(() => localStorage.getItem(KEY))));
apply(current);
button?.addEventListener("click", () => {
  current = (current + 1) % THEMES.length;
  apply(current);
  stored(() => localStorage.setItem(KEY, THEMES[current].name));
});
