/** Light, dark, or as the system has it; remembered on this machine alone. */

const KEY = "infogan-theme";
const CHOICES = /** @type {const} */ (["system", "light", "dark"]);
const SHOWN = { system: "◐", light: "☀", dark: "☾" };
const SPOKEN = { system: "as the system", light: "light", dark: "dark" };

/** @returns {"system" | "light" | "dark"} */
function remembered() {
  try {
    const found = localStorage.getItem(KEY);
    return found === "light" || found === "dark" ? found : "system";
  } catch {
    return "system"; // storage may be switched off
  }
}

/** @param {"system" | "light" | "dark"} theme */
function apply(theme) {
  document.documentElement.dataset.theme = theme;
  const button = document.getElementById("theme");
  if (button) {
    button.textContent = SHOWN[theme];
    button.setAttribute("aria-label", `Colours: ${SPOKEN[theme]}`);
    button.title = `Colours: ${SPOKEN[theme]}`;
  }
}

let theme = remembered();
apply(theme);
document.getElementById("theme")?.addEventListener("click", () => {
  theme = CHOICES[(CHOICES.indexOf(theme) + 1) % CHOICES.length];
  apply(theme);
  try {
    localStorage.setItem(KEY, theme);
  } catch {
    // then it lasts as long as the page
  }
});
