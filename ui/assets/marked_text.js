// Text with parts of it marked: the passages of a document, or what changed between two versions. Text nodes only.

const TAGS = { odd: "span", even: "span", added: "ins", removed: "del" }

export default function ({ parentElement, data }) {
  const frame = parentElement.querySelector(".frame")
  if (frame.dataset.shown === data.shown) return
  frame.dataset.shown = data.shown
  frame.tabIndex = 0
  frame.setAttribute("role", "region")
  frame.setAttribute("aria-label", data.name)
  frame.replaceChildren()
  for (const block of data.blocks) {
    const paragraph = document.createElement("p")
    paragraph.className = block.kind
    for (const part of block.parts) {
      if (part.label) {
        const label = document.createElement("span")
        label.className = "label"
        label.textContent = part.label
        paragraph.append(label)
      }
      const tag = TAGS[part.mark]
      if (!tag) { paragraph.append(part.text); continue }
      const mark = document.createElement(tag)
      if (tag === "span") mark.className = part.mark
      mark.textContent = part.text
      paragraph.append(mark)
    }
    frame.append(paragraph)
  }
  frame.scrollTop = 0
}
