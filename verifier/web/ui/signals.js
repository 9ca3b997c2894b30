// @ts-check
/** What a check's end feels and sounds like: vibration tells the colours apart, the sound does not. */

const VIBRATIONS = { GREEN: [80], AMBER: [80, 120, 80], RED: [500], GREY: [80, 120, 80, 120, 80] };
const BEEP_HERTZ = 880;
const BEEP_SECONDS = 0.12;

/**
 * @param {keyof typeof VIBRATIONS} colour
 * @param {{vibration: boolean, sound: boolean}} wanted
 */
export function signal(colour, { vibration, sound }) {
  // Browsers refuse it, with a complaint, until somebody has touched the page.
  if (vibration && navigator.userActivation?.hasBeenActive) navigator.vibrate?.(VIBRATIONS[colour]);
  if (sound) beep();
}

/** The same for every verdict: bystanders are not to hear it. */
function beep() {
  const audio = new AudioContext();
  const tone = new OscillatorNode(audio, { frequency: BEEP_HERTZ });
  tone.connect(new GainNode(audio, { gain: 0.2 })).connect(audio.destination);
  tone.onended = () => void audio.close();
  tone.start();
  tone.stop(audio.currentTime + BEEP_SECONDS);
}
