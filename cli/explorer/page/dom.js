/** Elements of the page. */

/** @param {string} id */
export const byId = (id) => /** @type {HTMLElement} */ (document.getElementById(id));

/** Make an element with a class and children.
 * @template {keyof HTMLElementTagNameMap} K
 * @param {K} name @param {string} className @param {...(string | Node)} content */
export function element(name, className, ...content) {
  const made = document.createElement(name);
  if (className) made.className = className;
  made.append(...content);
  return made;
}
