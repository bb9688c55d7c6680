// A section of a document as text, scrolled to its marked words. Text goes into text nodes only.

export default function ({ parentElement, data }) {
  const frame = parentElement.querySelector(".frame")
  if (frame.dataset.shown === data.shown) return
  frame.dataset.shown = data.shown
  frame.tabIndex = 0
  frame.setAttribute("role", "region")
  frame.setAttribute("aria-label", "Text of the source")
  frame.replaceChildren()
  if (data.headings.length) {
    const path = document.createElement("p")
    path.className = "path"
    path.textContent = data.headings.join(" › ")
    frame.append(path)
  }
  let first = null
  for (const block of data.blocks) {
    const paragraph = document.createElement("p")
    paragraph.className = `${block.kind} depth${block.depth}`
    for (const part of block.parts) {
      if (!part.marked) { paragraph.append(part.text); continue }
      const mark = document.createElement("mark")
      mark.textContent = part.text
      paragraph.append(mark)
      first ??= mark
    }
    frame.append(paragraph)
  }
  const settle = () => {
    frame.scrollTop = first ? Math.max(0, first.offsetTop - frame.clientHeight / 3) : 0
  }
  settle()
  requestAnimationFrame(settle)
}
