/** What may be done to a job or a sweep: buttons, questions, requests, and what is said of them. */

import { del, isAborted, post } from "./api.js";
import { fill, h } from "./dom.js";
import { announce, showProblem } from "./notices.js";
import { confirmed } from "./parts.js";

/**
 * The actions on what lies at `path`.
 * @param {string} path of the job or sweep in the API
 * @param {{title: Element, trouble: Element, signal: AbortSignal, gone: (error: Error) => void}} view the heading, which
 *   takes the focus of a button that goes; where problems are shown; when the view ends; what to do when it is not there
 */
export function actionsOn(path, { title, trouble, signal, gone }) {
  const element = h("div", { class: "actions" });

  function problem(error) {
    if (isAborted(error)) return;
    if (error.status === 404) gone(error);
    else showProblem(trouble, error);
  }

  return {
    element,

    /** Shows these buttons in place of those that were there; null is none. */
    show(...buttons) {
      const held = element.contains(document.activeElement);
      fill(element, ...buttons);
      if (held) title.focus();
    },

    /** A button that rests while it works. */
    button(label, run) {
      return h("button", { type: "button", onclick: async ({ currentTarget }) => { currentTarget.disabled = true; await run(); currentTarget.disabled = false; } }, label);
    },

    /** Asks the service for `verb`; resolves with what it answers, or with null where it was refused. */
    async ask(verb, said) {
      showProblem(trouble, null);
      try {
        const answer = await post(`${path}/${verb}`, undefined, { signal });
        announce(said);
        return answer;
      } catch (error) {
        problem(error);
        return null;
      }
    },

    /** Deletes it, once that is confirmed, and leads back to the jobs. */
    async remove(question, yes, said) {
      if (!(await confirmed(question, yes))) return;
      try {
        await del(path, { signal });
        announce(said);
        location.hash = "#/jobs";
      } catch (error) {
        problem(error);
      }
    },
  };
}
